"""Renders deploy/ with kustomize, as Kubernetes would get it."""

import functools
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
OVERLAYS = sorted(path.name for path in (DEPLOY / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (DEPLOY / "components").iterdir())
TRAININGS = sorted(path.name for path in (DEPLOY / "training").iterdir() if (path / "kustomization.yaml").is_file())


def renderer() -> list[str] | None:
    """The command that renders a folder; None if none is installed."""
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    return ["kustomize", "build"] if shutil.which("kustomize") else None


def render(folder: Path) -> list[Resource]:
    """Render a folder that holds a kustomization.yaml."""
    command = renderer()
    assert command
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # warnings mean that something is deprecated
    return [resource for resource in yaml.safe_load_all(done.stdout) if resource]


@functools.cache
def overlay(name: str) -> list[Resource]:
    """Render one of deploy/overlays."""
    return render(DEPLOY / "overlays" / name)


def composed(folder: Path, resource: str, components: Iterable[str]) -> list[Resource]:
    """Write a user's kustomization of a resource and components into an empty folder, and render it."""
    # kustomize does not accept absolute paths.
    up = "../" * (len(folder.resolve().parts) - 1)
    place = f"{up}{DEPLOY.resolve().relative_to('/')}"
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "ganvas",
        "resources": [f"{place}/{resource}"],
        "components": [f"{place}/components/{name}" for name in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def of_kind(resources: Sequence[Resource], kind: str) -> list[Resource]:
    """The resources of one kind."""
    return [resource for resource in resources if resource["kind"] == kind]


def one(resources: Sequence[Resource], kind: str) -> Resource:
    """The one resource of its kind."""
    (found,) = of_kind(resources, kind)
    return found


def pod_specs(resources: Sequence[Resource]) -> list[Resource]:
    """The pods that resources make."""
    return [resource["spec"]["template"]["spec"] for resource in resources if resource["kind"] in ("Deployment", "Job")]
