"""Makes docs/api.md from the service's OpenAPI document, with the bounds of the default settings.

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

Made from the OpenAPI document by `python -m docs.api`; do not edit. A running service has the document itself at
`/docs.json`, with the bounds of its own settings, and at `/docs` as a page to try it out; the bounds below are those of
the default settings.

{description}
The SDK and BentoML's own `SyncHTTPClient` have a method of each POST route's last word: `sample`, `interpolate`, `stylize`.
"""


def page(document: dict[str, Any]) -> str:
    """The whole page."""
    schemas = document["components"]["schemas"]
    described = document["info"]["description"]
    parts = [HEAD.format(description=described)]
    problems: dict[str, str] = {}
    routes = [(path, method) for path, methods in document["paths"].items() for method in methods]
    for path, method in sorted(routes, key=lambda route: (route[1] != "post", not route[0].startswith("/v1/"), route[0])):
        operation = document["paths"][path][method]
        parts.append("\n".join(route(path, method, operation)))
        problems |= {s: r["description"] for s, r in operation["responses"].items() if int(s) >= 400}
    rows = [[status, *problems[status].split(": ", 1)] for status in sorted(problems)]
    parts.append("## Problems\n\n" + table(["status", "title", "when"], rows))
    parts.append("## What the answers hold\n")
    parts += [schema(name, schemas[name]) for name in sorted(schemas) if "properties" in schemas[name]]
    return "\n".join(parts)


def route(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    """One route: what it takes, and what it answers."""
    yield f"## {method.upper()} {path}\n\n{plain(operation['description'])}\n"
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        taken = body["schema"]
        yield f"Takes `{media_type}`:\n\n{fields(taken)}"
    answer = operation["responses"]["200"]
    headers = answer.get("headers", {})
    types = [f"`{media_type}`{of_schema(content['schema'])}" for media_type, content in answer.get("content", {}).items()]
    if types:
        yield f"Answers {', '.join(types)}.\n"
    if headers:
        yield table(["header", "what it says"], [[f"`{name}`", header["description"]] for name, header in headers.items()])
    statuses = [f"{status}" for status in operation["responses"] if int(status) >= 400]
    if statuses:
        yield f"Problems: {', '.join(statuses)}.\n"


def of_schema(schema: dict[str, Any]) -> str:
    """Which of the schemas below an answer is."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return f" of [{name}](#{name.lower()})" if name else ""


def schema(name: str, described: dict[str, Any]) -> str:
    """One of the answers' parts."""
    summary = plain(described.get("description", "").partition("\n\n")[0])
    return f"### {name}\n\n" + (f"{summary}\n\n" if summary else "") + fields(described)


def fields(described: dict[str, Any]) -> str:
    """A table of an object's fields."""
    required = described.get("required", [])
    rows = []
    for name, field in described["properties"].items():
        default = f"`{json.dumps(field['default'])}`" if field.get("default") not in (None, "") else ""
        default = "required" if name in required else default
        rows.append([f"`{name}`", type_of(field), default, plain(field.get("description", ""))])
    if not any(row[3] for row in rows):
        return table(["field", "type"], [row[:2] for row in rows])
    return table(["field", "type", "default", "what it is"], rows)


def type_of(field: dict[str, Any]) -> str:
    """A field's type and bounds, in words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name != "JsonValue" else "any"
    for several in ("oneOf", "anyOf"):
        if several in field:
            return " or ".join(type_of(option) for option in field[several])
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
    """How long a list may be."""
    if least is None and most is None:
        return ""
    return f" of {least or 0} to {most}" if most else f" of {least} or more"


def plain(text: str) -> str:
    """A description on one line, without the HTML that BentoML writes."""
    for tag in ("code", "b"):
        text = text.replace(f"<{tag}>", "`").replace(f"</{tag}>", "`")
    return " ".join(text.split())


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(Ganvas.openapi_spec.asdict()))  # type: ignore[attr-defined]
