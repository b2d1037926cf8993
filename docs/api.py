"""Writes docs/api.md from the service's OpenAPI document, with the bounds of the default settings.

.venv/bin/python -m docs.api
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.app import Ganvas

PAGE = Path(__file__).parent / "api.md"
HEAD = """# The API

This page is generated from the OpenAPI document by `python -m docs.api`; do not edit it. The bounds are those of the
default settings. A running service has the document with its own bounds at `/docs.json`, and at `/docs` as a page to
try it out.

{description}
The SDK and BentoML's own `SyncHTTPClient` have one method for each POST route below `/v1`: {methods}.
"""


def page(document: dict[str, Any]) -> str:
    """Return the whole page."""
    schemas = document["components"]["schemas"]
    problems: dict[str, str] = {}
    routes = [(path, method) for path, methods in document["paths"].items() for method in methods]
    routes.sort(key=lambda route: (route[1] != "post", not route[0].startswith("/v1/"), route[0]))
    posts = [document["paths"][path][method] for path, method in routes if method == "post"]
    methods = ", ".join(f"`{post['x-bentoml-name']}`" for post in posts if "x-bentoml-name" in post)
    parts = [HEAD.format(description=document["info"]["description"], methods=methods)]
    for path, method in routes:
        operation = document["paths"][path][method]
        parts.append("\n".join(route(path, method, operation)))
        problems |= {s: r["description"] for s, r in operation["responses"].items() if int(s) >= 400}
    rows = [[status, *problems[status].split(": ", 1)] for status in sorted(problems)]
    parts.append("## Problems\n\n" + table(["status", "title", "when"], rows))
    parts.append("## Objects\n")
    parts += [schema(name, schemas[name]) for name in sorted(schemas) if "properties" in schemas[name]]
    return "\n".join(parts)


def route(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield the parts of one route: its request and its responses."""
    yield f"## {method.upper()} {path}\n\n{one_line(operation['description'])}\n"
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        taken = body["schema"]
        yield f"Takes `{media_type}`:\n\n{fields(taken)}"
    success = operation["responses"]["200"]
    headers = success.get("headers", {})
    types = [f"`{media_type}`{of_schema(content['schema'])}" for media_type, content in success.get("content", {}).items()]
    if types:
        yield f"Returns {', '.join(types)}.\n"
    if headers:
        yield table(["header", "meaning"], [[f"`{name}`", header["description"]] for name, header in headers.items()])
    statuses = [f"{status}" for status in operation["responses"] if int(status) >= 400]
    if statuses:
        yield f"Problems: {', '.join(statuses)}.\n"


def of_schema(schema: dict[str, Any]) -> str:
    """Link to the schema of a response, if it has a name."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return f" of [{name}](#{name.lower()})" if name else ""


def schema(name: str, described: dict[str, Any]) -> str:
    """Describe one object of a request or a response."""
    summary = one_line(described.get("description", "").partition("\n\n")[0])
    return f"### {name}\n\n" + (f"{summary}\n\n" if summary else "") + fields(described)


def fields(described: dict[str, Any]) -> str:
    """Return a table of an object's fields."""
    required = described.get("required", [])
    rows = []
    for name, field in described["properties"].items():
        default = f"`{json.dumps(field['default'])}`" if field.get("default") not in (None, "") else ""
        default = "required" if name in required else default
        rows.append([f"`{name}`", type_of(field), default, one_line(field.get("description", ""))])
    if not any(row[3] for row in rows):
        return table(["field", "type"], [row[:2] for row in rows])
    return table(["field", "type", "default", "meaning"], rows)


def type_of(field: dict[str, Any]) -> str:
    """Describe a field's type and bounds."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != "JsonValue" else "any"
    for several in ("oneOf", "anyOf"):
        if several in field:
            options = [type_of(option) for option in field[several]]
            return (", or " if any("," in option for option in options) else " or ").join(options)
    if "const" in field or "enum" in field:
        return " ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "items" in field:
        return f"list{size(field.get('minItems'), field.get('maxItems'))}: {type_of(field['items'])}"
    if field.get("format") == "binary":
        return "file"
    if "minimum" in field:
        most = field.get("maximum", field.get("exclusiveMaximum", 0) - 1)
        return f"{field['type']}, {field['minimum']} {f'to {most}' if most > 0 else 'or more'}"
    if "maxLength" in field:
        return f"{field['type']}, at most {field['maxLength']} characters"
    return str(field.get("type", "any"))


def size(least: int | None, most: int | None) -> str:
    """Describe how long a list may be."""
    if least is None and most is None:
        return ""
    return f" of {least or 0} to {most}" if most else f" of {least} or more"


def one_line(text: str) -> str:
    """Put a description on one line."""
    return " ".join(text.split())


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(Ganvas.openapi_spec.asdict()))  # type: ignore[attr-defined]
