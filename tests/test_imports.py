"""The packages import each other only as docs/architecture.md says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ganvas", "service", "training")
# The modules that callers, the service and training share.
SHARED = {
    f"ganvas.{name}"
    for name in (
        "api",
        "card",
        "contact_sheet",
        "cpus",
        "files",
        "images",
        "interpolation",
        "left_out",
        "signals",
        "style_file",
        "tensors",
        "transparency",
    )
}
MAY_IMPORT = {
    "ganvas": set(),
    "service": SHARED,
    "training": SHARED,
}
FORBIDDEN = {
    "ganvas": {"torch", "onnxruntime", "bentoml"},
    "service": {"torch", "torchvision", "onnx"},
    "training": {"bentoml"},
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            is_top = node.module in PACKAGES  # `from ganvas import images` imports ganvas.images
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if is_top else {node.module or ""}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_allowed_modules(package: str) -> None:
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources
    for path in sources:
        for name in imports(path):
            top = name.partition(".")[0]
            if top in PACKAGES and top != package:
                assert name in MAY_IMPORT[package], f"{path.relative_to(ROOT)} imports {name}"
            assert top not in FORBIDDEN[package], f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "service" / "engine").rglob("*.py")), ids=lambda path: path.stem)
def test_engine_imports_neither_http_nor_routes(path: Path) -> None:
    outside = [name for name in imports(path) if name.startswith(("service.http", "service.routes"))]
    assert not outside, f"{path.relative_to(ROOT)} imports {outside}"


FOLDERS = sorted(path.name for path in (ROOT / "service").iterdir() if (path / "__init__.py").is_file())


def test_no_two_folders_of_the_service_import_each_other() -> None:
    arrows = {
        (folder, other)
        for folder in FOLDERS
        for path in (ROOT / "service" / folder).rglob("*.py")
        for other in FOLDERS
        if other != folder and any(f"{name}.".startswith(f"service.{other}.") for name in imports(path))
    }
    assert ("http", "engine") in arrows
    assert not {(folder, other) for folder, other in arrows if (other, folder) in arrows}


SLICES = [f"training.{path.parent.name}" for path in sorted((ROOT / "training").glob("*/kind.py"))]


@pytest.mark.parametrize("slice_", SLICES)
def test_slices_never_import_one_another(slice_: str) -> None:
    """Neither directly nor through a shared module such as training.plots."""
    shared = [path for path in (ROOT / "training").glob("*.py") if path.name not in {"kinds.py", "__main__.py"}]
    shared += [path for folder in ("data", "metrics", "report") for path in (ROOT / "training" / folder).rglob("*.py")]
    others = tuple(f"{other}." for other in SLICES if other != slice_)
    assert others
    for path in [*(ROOT / slice_.replace(".", "/")).rglob("*.py"), *shared]:
        wrong = [name for name in imports(path) if f"{name}.".startswith(others)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_only_a_command_line_imports_cli_modules(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        if path.parent.name != "cli" and path.name != "__main__.py":
            wrong = [name for name in imports(path) if ".cli." in f"{name}."]
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_init_modules_only_document_and_re_export() -> None:
    for path in ROOT.glob("*/**/__init__.py"):
        place = path.relative_to(ROOT)
        if place.parts[0] in PACKAGES and place != Path("ganvas/__init__.py"):  # this one imports its names on first use
            for node in ast.parse(path.read_text()).body:
                is_list = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
                assert is_list or isinstance(node, ast.Expr | ast.ImportFrom), path


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ganvas.api", {"httpx", "PIL", "numpy", "pydantic", "ganvas.sdk"}),
        ("ganvas.card", {"httpx", "PIL", "ganvas.sdk"}),
        ("ganvas.images", {"httpx", "numpy", "ganvas.sdk"}),
    ],
)
def test_shared_modules_load_no_client(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({absent} & sys.modules.keys()))"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == ""


def test_client_needs_no_numpy_and_no_service_packages() -> None:
    absent = {"numpy", "torch", "onnxruntime", "bentoml", "starlette", "typer", "rich", "click"}
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import ganvas.sdk"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_service_imports_no_torch() -> None:
    code = "import sys, service.app; print(*sorted({'torch', 'torchvision', 'training', 'onnx'} & sys.modules.keys()))"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == ""
