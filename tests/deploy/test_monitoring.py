"""Dashboard, alerts and autoscaling: every expression is PromQL and names only what the service really exports."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.metrics import ADDED_BY_PROMETHEUS, OTHERS, SERVICE
from tests.deploy.rendering import DEPLOY
from tests.service.onnx_models import generator_card, generator_model, save
from tests.service.running import running

MONITORING = DEPLOY / "components" / "monitoring"
RULES = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "ganvas.json").read_text())
SCALED_OBJECT = yaml.safe_load((DEPLOY / "components" / "queue-autoscaling" / "scaledobject.yaml").read_text())


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, with a name for it."""
    for group in RULES["spec"]["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$__rate_interval", "5m")
    for trigger in SCALED_OBJECT["spec"]["triggers"]:
        if trigger["type"] == "prometheus":
            yield "autoscaling", trigger["metadata"]["query"]


EXPRESSIONS = dict(expressions())


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """Every selector below a node of parsed PromQL."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        if (child := getattr(node, name, None)) is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or []:
        yield from selectors(child)


def names_and_labels(expression: str) -> Iterator[tuple[str, set[str]]]:
    for selector in selectors(promql_parser.parse(expression)):
        assert selector.name
        yield selector.name, {matcher.name for matcher in selector.matchers.matchers}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Sample name -> its labels, as a real server shows them after a request, a refusal and a failure."""
    folder = tmp_path_factory.mktemp("models")
    save(generator_model(), folder / "digits.onnx", generator_card())
    with running(folder, tmp_path_factory.mktemp("log")) as service:
        assert httpx.post(f"{service.url}/v1/sample", timeout=60).status_code == 200
        text = httpx.get(f"{service.url}/metrics", timeout=60).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        if not family.samples and family.type == "counter":  # not counted yet: the name alone is there
            found[f"{family.name}_total"] = set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_name_what_is_in_the_list(name: str) -> None:
    used = list(names_and_labels(EXPRESSIONS[name]))
    assert used
    for metric, _ in used:
        assert metric in SERVICE | OTHERS, f"{name} uses {metric}"


def test_every_metric_of_the_list_is_used() -> None:
    used = {metric for expression in EXPRESSIONS.values() for metric, _ in names_and_labels(expression)}
    assert used == SERVICE | OTHERS


def test_the_list_is_what_the_service_exports(exported: dict[str, set[str]]) -> None:
    assert exported.keys() >= SERVICE


def test_labels_are_those_of_the_service(exported: dict[str, set[str]]) -> None:
    for name, expression in EXPRESSIONS.items():
        for metric, labels in names_and_labels(expression):
            if metric in SERVICE and exported[metric]:
                assert labels <= exported[metric] | ADDED_BY_PROMETHEUS, f"{name}: {metric}"


def test_alerts_say_what_is_wrong() -> None:
    troubleshooting = (DEPLOY.parent / "docs" / "kubernetes.md").read_text().partition("## Troubleshooting")[2]
    for group in RULES["spec"]["groups"]:
        for rule in group["rules"]:
            assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert rule["annotations"].keys() == {"summary", "description"}
            assert f"`{rule['alert']}`" in troubleshooting


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, which comes with Prometheus, is not installed")
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES["spec"]))
    shutil.copy(Path(__file__).parent / "alerts_test.yaml", tmp_path)
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "alerts_test.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
