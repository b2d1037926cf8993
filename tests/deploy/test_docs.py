"""docs/container.md and docs/kubernetes.md agree with the code and the manifests."""

import re
from pathlib import Path

import pytest

from service.settings import ROOT, Settings
from tests.container import report
from tests.deploy.rendering import COMPONENTS, DEPLOY, OVERLAYS, one, pod_specs, render, renderer

PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("container.md", "kubernetes.md")}
TARGETS = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


def test_docs_and_manifests_use_the_same_image_tags() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *DEPLOY.rglob("*.yaml")]
    tags = {tag for file in files for tag in re.findall(r"(?: ganvas:|newName: ganvas, newTag: )([\w.-]+)", file.read_text())}
    assert tags - {"latest"} == {"cpu", "gpu", "training"}  # `ganvas:latest` is the bento


@pytest.mark.parametrize("page", PAGES)
def test_commands_name_existing_targets_paths_and_settings(page: str) -> None:
    text = PAGES[page]
    assert set(re.findall(r"--target (\w+)", text)) <= TARGETS
    for path in re.findall(r"(?<![\w/])deploy/[\w/-]+", text):
        assert (ROOT / path).exists(), path
    known = (ROOT / "service" / "settings.py").read_text() + "GANVAS_DRAIN_S"
    for name in set(re.findall(r"GANVAS_([A-Z_]+)\b", text)) - {"DRAIN_S"}:
        assert re.search(rf"^    {name.lower()}: ", known, re.MULTILINE), name


def test_memory_limit_exceeds_the_documented_sum() -> None:
    rows = re.findall(r"^\| .+ \| (.+) \| (\d+) MiB\b.* \|$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert len(rows) == 4
    for bound, mib in rows[1:3]:
        setting = re.fullmatch(r"`GANVAS_(\w+)`", bound)
        assert setting
        assert int(mib) == Settings.model_fields[setting[1].lower()].default
    (limit,) = re.findall(r"limits: .*memory: (\d+)Gi", (DEPLOY / "overlays" / "cpu" / "kustomization.yaml").read_text())
    assert sum(int(mib) for _, mib in rows) * 9 / 8 <= int(limit) * 1024


def test_docker_commands_allow_time_to_drain() -> None:
    """They also keep port 3000, which the health check uses."""
    for command in re.findall(r"^docker run .*", PAGES["container.md"].replace("\\\n", ""), re.MULTILINE):
        if "ganvas:training" not in command:
            stop = re.search(r"--stop-timeout (\d+) ", command)
            assert stop
            assert int(stop[1]) >= Settings.model_fields["drain_s"].default + 5
            assert "--publish 3000:3000 " in command
    assert "--port 8080" not in PAGES["container.md"]


def test_bulk_is_installed_with_the_right_onnxruntime() -> None:
    """`service` and `gpu` install builds of onnxruntime that exclude each other. `gpu` also needs the CUDA pins."""
    installs = re.findall(r'pip install (.*) --editable "\.\[(\w+),bulk\]"', PAGES["container.md"])
    assert {extra: set(re.findall(r"--constraint (\S+)", constraints)) for constraints, extra in installs} == {
        "service": {"constraints-bulk.txt"},
        "gpu": {"constraints-gpu.txt", "constraints-bulk.txt"},
    }


def test_container_page_shows_the_table_that_a_test_writes() -> None:
    shown = PAGES["container.md"].partition(f"<!-- {report.SECTION} -->\n")[2].partition(f"<!-- /{report.SECTION} -->")[0]
    labels = [line.split("|")[1].strip() for line in shown.splitlines() if line.startswith("| ")][2:]
    assert labels
    assert labels == [what for what, _ in report.ROWS.values() if what in labels]
    whole = report.table({name: index + 0.25 for index, name in enumerate(report.ROWS)})
    assert all(what in whole for what, _ in report.ROWS.values())
    assert shown.strip().splitlines()[-1] == whole.splitlines()[-1]  # the assumption below the table


def test_kubernetes_page_names_all_overlays_and_components() -> None:
    for name in OVERLAYS:
        assert f"deploy/overlays/{name} " in PAGES["kubernetes.md"]
    for name in COMPONENTS:
        assert f"| `{name}` |" in PAGES["kubernetes.md"]


@pytest.mark.skipif(renderer() is None, reason="needs kubectl or kustomize to render the example")
def test_example_kustomization_renders(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", PAGES["kubernetes.md"], re.MULTILINE | re.DOTALL)
    folder = tmp_path / "my-ganvas"
    folder.mkdir()
    # In the page, the repository is next to the folder.
    up = "../" * (len(folder.resolve().parts) - 1)
    (folder / "kustomization.yaml").write_text(shown.replace("../ganvas/", f"{up}{ROOT.relative_to('/')}/"))
    resources = render(folder)
    (spec,) = pod_specs(resources)
    assert spec["containers"][0]["image"] == "registry.example.com/ganvas:4f2c9e1-cpu"
    settings = next(
        resource for resource in resources if resource["kind"] == "ConfigMap" and "settings" in resource["metadata"]["name"]
    )
    assert settings["data"]["GANVAS_MAX_SIDE"] == "1024"
    assert settings["data"]["GANVAS_TIMEOUT_S"]  # merged, not replaced
    assert spec["containers"][0]["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    assert one(resources, "ServiceMonitor")
