"""Expressions of dashboard, alerts and autoscaling are valid PromQL and use only metrics that the service exports."""

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
    """Yield each expression with a name."""
    for group in RULES["spec"]["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$__rate_interval", "5m")
    for number, trigger in enumerate(SCALED_OBJECT["spec"]["triggers"], start=1):
        if trigger["type"] == "prometheus":
            yield f"autoscaling {number}", trigger["metadata"]["query"]


EXPRESSIONS = dict(expressions())


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """Yield all selectors below a node of parsed PromQL."""
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
    """Names of samples and their labels on /metrics of a real server, after one request."""
    folder = tmp_path_factory.mktemp("models")
    save(generator_model(), folder / "digits.onnx", generator_card())
    with running(folder, tmp_path_factory.mktemp("log")) as service:
        assert httpx.post(f"{service.url}/v1/sample", timeout=60).status_code == 200
        text = httpx.get(f"{service.url}/metrics", timeout=60).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        if not family.samples and family.type == "counter":  # a counter without counts shows only its name
            found[f"{family.name}_total"] = set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_use_only_listed_metrics(name: str) -> None:
    used = list(names_and_labels(EXPRESSIONS[name]))
    assert used
    for metric, _ in used:
        assert metric in SERVICE | OTHERS, f"{name} uses {metric}"


def test_all_listed_metrics_are_used() -> None:
    used = {metric for expression in EXPRESSIONS.values() for metric, _ in names_and_labels(expression)}
    assert used == SERVICE | OTHERS


def test_service_exports_all_listed_metrics(exported: dict[str, set[str]]) -> None:
    assert exported.keys() >= SERVICE


def test_expressions_use_only_existing_labels(exported: dict[str, set[str]]) -> None:
    for name, expression in EXPRESSIONS.items():
        for metric, labels in names_and_labels(expression):
            if metric in SERVICE and exported[metric]:
                assert labels <= exported[metric] | ADDED_BY_PROMETHEUS, f"{name}: {metric}"


def test_alerts_have_annotations_and_troubleshooting() -> None:
    troubleshooting = (DEPLOY.parent / "docs" / "kubernetes.md").read_text().partition("## Troubleshooting")[2]
    for group in RULES["spec"]["groups"]:
        for rule in group["rules"]:
            assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert rule["annotations"].keys() == {"summary", "description"}
            assert f"`{rule['alert']}`" in troubleshooting


def test_error_rate_counts_only_api_routes() -> None:
    """Probes would distort the rate: there are many of them, and some fail on purpose."""
    (errors,) = (
        rule["expr"] for group in RULES["spec"]["groups"] for rule in group["rules"] if rule["alert"] == "GanvasErrors"
    )
    routes = [str(m) for s in selectors(promql_parser.parse(errors)) for m in s.matchers.matchers if m.name == "route"]
    assert routes == ['route=~"/v1/.*|/v2/models/.*/infer"'] * 2


def test_docs_name_the_metrics_of_autoscaling() -> None:
    table = (DEPLOY.parent / "docs" / "operations.md").read_text().partition("## Metrics")[2]
    said = {line.split("`")[1] for line in table.splitlines() if "scale on this" in line}
    used = {
        metric for name in EXPRESSIONS if name.startswith("autoscaling") for metric, _ in names_and_labels(EXPRESSIONS[name])
    }
    assert said == used & SERVICE - {"ganvas_http_requests_total"}  # the denominator of the rejected fraction


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, which is part of Prometheus")


def promtool(tests: Path) -> None:
    done = subprocess.run(["promtool", "test", "rules", tests], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_alerts_fire_on_failures_only(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES["spec"]))
    shutil.copy(Path(__file__).parent / "alerts_test.yaml", tmp_path)
    promtool(tmp_path / "alerts_test.yaml")


@needs_promtool
@pytest.mark.parametrize(("refused", "pods"), [(0, 0), (60, 2), (120, 4)])
def test_pods_scale_with_the_rejected_fraction(refused: int, pods: int, tmp_path: Path) -> None:
    """With two pods, 1 rejected request in 20 keeps them and 2 in 20 double them. Without any, the other triggers decide."""
    (metadata,) = (
        trigger["metadata"]
        for trigger in SCALED_OBJECT["spec"]["triggers"]
        if "ganvas_rejections_total" in trigger["metadata"].get("query", "")
    )
    series = {
        'up{namespace="ganvas", service="ganvas", pod="a"}': "1x10",
        'up{namespace="ganvas", service="ganvas", pod="b"}': "1x10",
        'ganvas_http_requests_total{namespace="ganvas", route="/v1/stylize", pod="a"}': "0+1200x10",
        'ganvas_http_requests_total{namespace="ganvas", route="/livez", pod="a"}': "0+9000x10",
        'ganvas_rejections_total{namespace="ganvas", model="painters", reason="queue_slow", pod="a"}': f"0+{refused}x10",
    }
    idle = {'up{namespace="ganvas", service="ganvas", pod="a"}': "1x10"}
    sample = {
        "labels": "{}",
        "value": pods * float(metadata["threshold"]),
    }  # KEDA divides it by the threshold
    cases = [
        {
            "interval": "30s",
            "input_series": [{"series": name, "values": values} for name, values in given.items()],
            "promql_expr_test": [{"expr": metadata["query"], "eval_time": "4m", "exp_samples": expected}],
        }
        for given, expected in ((series, [sample]), (idle, []))
    ]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"evaluation_interval": "30s", "tests": cases}))
    promtool(tmp_path / "queries.yaml")
