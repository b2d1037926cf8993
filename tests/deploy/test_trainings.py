"""The training Jobs: evictions, connections between machines, and commands."""

import pytest

from tests.deploy.rendering import DEPLOY, one, render, renderer

pytestmark = pytest.mark.skipif(renderer() is None, reason="needs kubectl or kustomize to render the manifests")


@pytest.mark.parametrize("name", ["single", "multi-node"])
def test_evicted_training_resumes(name: str) -> None:
    spec = one(render(DEPLOY / "training" / name), "Job")["spec"]
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ]
    assert spec["podReplacementPolicy"] == "Failed"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert "--auto-resume" in pod["containers"][0]["args"]


def test_machines_of_a_training_find_each_other() -> None:
    resources = render(DEPLOY / "training" / "multi-node")
    job, service = one(resources, "Job"), one(resources, "Service")
    spec = job["spec"]
    pod = spec["template"]["spec"]
    command, args = pod["containers"][0]["command"], pod["containers"][0]["args"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 2
    assert {f"--nnodes={spec['completions']}", "--node-rank=$(JOB_COMPLETION_INDEX)"} < set(command)
    assert f"--master-addr={job['metadata']['name']}-0.{service['metadata']['name']}" in command
    assert f"--nodes={spec['completions']}" in args
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"


def test_commands_are_valid() -> None:
    from typer.testing import CliRunner

    from training.cli.app import app

    known = CliRunner().invoke(app, ["gan", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    for name in ("single", "multi-node"):
        job = one(render(DEPLOY / "training" / name), "Job")
        kind, *options = job["spec"]["template"]["spec"]["containers"][0]["args"]
        assert kind == "gan"
        for option in options:
            assert option.partition("=")[0] in known
