"""Builds and runs the CPU image (`make container-test`)."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

import ganvas
from tests.container import report as reports
from tests.container.balancer import Balancer
from tests.container.images import (
    IMAGE,
    ROOT,
    Mounted,
    Opened,
    base_image,
    build,
    buildah,
    megabytes,
    shell_blocks,
    stand_in,
)
from tests.container.pod import LIMIT_S, Pod, run, sample, stylize
from tests.deploy.rendering import one, overlay, renderer

pytestmark = pytest.mark.container

PHOTO = (ROOT / "docs/images/photo.jpg").read_bytes()
MOST_MB = 400
FIRST_IMAGE_S = 5  # on two idle cores


@pytest.fixture(scope="session")
def report() -> Iterator[dict[str, float]]:
    """The measurements, stored at the end of the session."""
    measured: dict[str, float] = {}
    yield measured
    reports.write({**measured, "session_s": round(time.monotonic() - reports.STARTED)})


@pytest.fixture
def pod(image: Opened, tmp_path: Path) -> Iterator[Pod]:
    started = Pod(image, tmp_path / "pod", "--port", "0")
    yield started
    started.kill()


def test_first_image_arrives_within_5_seconds(image: Opened, tmp_path: Path, report: dict[str, float]) -> None:
    """The fastest of three starts counts."""
    taken = []
    for number in range(3):
        pod = Pod(image, tmp_path / f"pod-{number}", "--port", "0")
        try:
            with ganvas.Client(pod.url, timeout=LIMIT_S) as client:
                assert len(client.sample(4, model="digits", seed=7)) == 4
            taken.append(time.monotonic() - pod.started)
        finally:
            pod.kill()
    report["first_image_s"] = round(min(taken), 2)
    assert min(taken) <= FIRST_IMAGE_S, taken


def test_pod_samples_and_paints_as_a_restricted_user(image: Opened, tmp_path: Path, report: dict[str, float]) -> None:
    pod = Pod(image, tmp_path / "pod", "--port", "0")
    try:
        with ganvas.Client(pod.url, timeout=LIMIT_S) as client:
            first = client.sample(4, model="digits", seed=7, format="png")
            assert (first.media_type, first.model, first.seed) == ("image/png", "digits", 7)
            with Image.open(ROOT / "docs/images/photo.jpg") as photo:
                painted = client.stylize(photo, model="painters", style="great-wave", max_side=256).image
                assert max(painted.size) == 256
                assert (painted.width < painted.height) == (photo.width < photo.height)
            assert client.sample(4, model="digits", seed=7, format="png").content == first.content
        largest = stylize(pod.url, enlarged(tmp_path), max_side=2048)
        assert largest.status_code == 200
        with ThreadPoolExecutor(8) as callers:
            busy = callers.map(lambda photo: stylize(pod.url, photo, max_side=2048).status_code, [enlarged(tmp_path)] * 8)
            assert {200} <= {*busy} <= {200, 429}
        status = pod.status()
        assert status["Uid"].split() == ["10001"] * 4
        assert status["Gid"].split() == ["10001"] * 4
        assert status["CapEff"] == "0" * 16
        assert status["NoNewPrivs"] == "1"
        pod.signal(signal.SIGTERM)
        assert pod.wait(30) == 0
        assert "Traceback" not in pod.stderr()
    finally:
        pod.kill()


def enlarged(folder: Path) -> bytes:
    with Image.open(ROOT / "docs/images/photo.jpg") as photo:
        photo.resize((2048, 2048)).save(folder / "large.jpg")
    return (folder / "large.jpg").read_bytes()


def test_only_tmp_is_writable(image: Opened) -> None:
    for folder in ("/app", "/venv", "/etc", "/var/tmp", "/"):
        tried = run(image, "python", "-c", f"open('{folder}/here', 'w')")
        assert "Read-only file system" in tried.stderr, tried
    assert run(image, "python", "-c", "open('/tmp/here', 'w')").returncode == 0


def test_image_contains_only_the_service(image: Opened, report: dict[str, float]) -> None:
    packages = {path.name.lower() for path in image.root.glob("venv/lib/python3*/site-packages/*")}
    assert "bentoml" in packages
    assert not packages & {"torch", "torchvision", "onnx", "ray", "pip"}
    inside = {path.name for path in (image.root / "app").iterdir()}
    assert inside == {"LICENSE", "exported", "ganvas", "service"}
    loaded = run(image, "python", "-c", "import service.app, sys; print({'torch', 'training', 'onnx'} & sys.modules.keys())")
    assert loaded.stdout.strip() == "set()", loaded.stderr
    sources = sorted((image.root / "app").rglob("*.py"))
    compiled = sorted((image.root / "app").rglob("*.pyc"))
    assert len(compiled) == len(sources) > 10  # a read-only root cannot store bytecode later
    report["image_mb"] = round(megabytes(image.root))
    with Mounted(base_image()) as base:
        report["base_mb"] = round(megabytes(base.root))
    report["added_mb"] = report["image_mb"] - report["base_mb"]
    assert report["added_mb"] <= MOST_MB - reports.PYTHON_SLIM_MB


def test_image_config_and_health_check(image: Opened, pod: Pod) -> None:
    config = image.config
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] == "python"
    assert config["ExposedPorts"].keys() == {"3000/tcp"}
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert {"title", "description", "licenses", "version", "revision"} <= labels.keys()
    kind, *command = config["Healthcheck"]["Test"]
    assert kind == "CMD"  # no shell
    port = pod.url.rpartition(":")[2]
    assert run(image, *(word.replace("3000", port) for word in command)).returncode == 0
    assert run(image, *(word.replace("3000", "9") for word in command)).returncode == 1


def test_changed_code_reuses_installed_packages(image: Opened, tmp_path: Path, report: dict[str, float]) -> None:
    for name in ("ganvas", "service", "training", "exported", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "constraints.txt", "constraints-gpu.txt", "LICENSE"):
        shutil.copy2(ROOT / name, tmp_path / name)
    with (tmp_path / "service" / "engine" / "latents.py").open("a") as source:
        source.write("\n# changed\n")
    began = time.monotonic()
    said = build("cpu", tmp_path)
    report["rebuild_s"] = round(time.monotonic() - began, 1)
    assert "Collecting" not in said
    with Mounted(IMAGE) as changed:
        assert "# changed" in (changed.root / "app" / "service" / "engine" / "latents.py").read_text()
    build("cpu")  # put the tag back where it was


def test_new_commit_reuses_all_layers(image: Opened) -> None:
    tag = f"{IMAGE}-commit"
    said = build("cpu", tag=tag, revision="0123abc")
    for copied in ("--from=packages-cpu /venv /venv", "--from=code /app /app"):
        assert re.search(rf"COPY {re.escape(copied)}\s+--> Using cache", said), said
    with Mounted(tag) as changed:
        assert changed.config["Labels"]["org.opencontainers.image.revision"] == "0123abc"


def test_sigterm_under_load_answers_accepted_requests(pod: Pod) -> None:
    sent = threading.Semaphore(0)
    with ThreadPoolExecutor(6) as callers:
        in_flight = [callers.submit(stylize, pod.url, PHOTO, 1024, sent.release) for _ in range(6)]
        assert all(sent.acquire(timeout=60) for _ in in_flight)
        assert httpx.get(f"{pod.url}/livez", timeout=60).status_code == 200  # the six requests arrived before this one
        pod.signal(signal.SIGTERM)
        assert [call.result().status_code for call in in_flight] == [200] * 6
    assert pod.wait(60) == 0
    with pytest.raises(httpx.ConnectError):
        sample(pod.url)
    assert "Traceback" not in pod.stderr()


@pytest.mark.skipif(renderer() is None, reason="needs kubectl or kustomize to render the manifests")
def test_node_drain_loses_no_request(image: Opened, tmp_path: Path) -> None:
    """One of two pods behind a Service is evicted under load, with the times of the manifests. All requests are answered.

    Callers that open a connection for each request use the endpoints of the Service. Clients with a connection pool stay with
    the leaving pod until it returns 503 and closes the connection. Then they retry and reach the other pod.
    """
    spec = one(overlay("cpu"), "Deployment")["spec"]["template"]["spec"]
    pre_stop_s = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    # Two pods and six callers may overload this machine. With this setting, requests wait and are not rejected.
    pods = [Pod(image, tmp_path / name, "--port", "0", GANVAS_MAX_QUEUE_WAIT_S="60") for name in ("leaving", "staying")]
    leaving, staying = pods
    endpoints = [leaving.url, staying.url]
    responses: Counter[tuple[str, object]] = Counter()
    stop = threading.Event()

    def load(number: int) -> None:
        turn = number
        while not stop.is_set():
            turn += 1
            url = endpoints[turn % len(endpoints)]
            try:
                response: object = (stylize(url, PHOTO, 512) if turn % 3 else sample(url)).status_code
            except httpx.HTTPError as error:
                response = repr(error)
            responses[url, response] += 1

    def load_by_pool(url: str) -> None:
        with ganvas.Client(url, timeout=LIMIT_S) as client:
            while not stop.is_set():
                assert len(client.sample(4, model="digits", seed=7)) == 4
                responses[url, 200] += 1

    try:
        with Balancer(endpoints) as balancer, ThreadPoolExecutor(6) as callers:
            running = [callers.submit(load, number) for number in range(4)]
            running += [callers.submit(load_by_pool, balancer.url) for _ in range(2)]
            try:
                time.sleep(2)
                evicted = time.monotonic()
                # The kubelet sleeps (preStop) while the endpoints still contain the leaving pod.
                time.sleep(pre_stop_s - 1)
                endpoints.remove(leaving.url)
                time.sleep(1)
                leaving.signal(signal.SIGTERM)
                assert leaving.wait(spec["terminationGracePeriodSeconds"] - (time.monotonic() - evicted)) == 0
                time.sleep(2)
            finally:
                stop.set()
            for caller in running:
                caller.result()
    finally:
        for pod in pods:
            pod.kill()
    assert balancer.connections() > 2  # at least one of the two pools had to reconnect
    assert responses.keys() == {(leaving.url, 200), (staying.url, 200), (balancer.url, 200)}, responses
    assert min(responses.values()) >= 5


def test_buildah_commands_of_the_docs_work(tmp_path: Path) -> None:
    """Only the base image, the certificate of a proxy and the port are replaced."""
    shown = "".join(block for block in shell_blocks("docs/container.md") if re.search(r"buildah (build|run) ", block))
    assert shown.count("buildah build ") == shown.count("buildah run ") == shown.count("buildah from ") == 1
    here = f"buildah build --build-arg BASE={base_image()} --volume /etc/ssl/certs:/etc/ssl/certs:ro "
    script = shown.replace("buildah build ", here).replace("$(buildah from ", f"$(buildah from --cidfile {tmp_path}/made ")
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            ["bash", "-euc", f"trap : TERM\n{script.strip()} --port 0"],  # the trap waits for buildah before the shell exits
            cwd=ROOT, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 900  # the layers exist already, unless this test runs alone
            while not (ready := re.search(r"Ganvas is ready: (\S+)", (tmp_path / "said").read_text())):
                assert process.poll() is None, (tmp_path / "said").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert sample(ready[1]).status_code == 200
            assert stylize(ready[1], PHOTO).status_code == 200
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(60)
            if (tmp_path / "made").exists():
                buildah("rm", (tmp_path / "made").read_text().strip())


@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="needs debootstrap")
def test_stand_in_base_of_the_docs_works() -> None:
    """The stand-in for the base image has what the Dockerfile needs."""
    container = buildah("from", stand_in("localhost/ganvas-base:docs-test"))
    try:
        run_in = ("run", "--isolation", "chroot", container, "--")
        assert buildah(*run_in, "python", "--version").startswith("Python 3.11.")
        buildah(*run_in, "python", "-m", "venv", "--without-pip", "/tmp/venv")
        buildah(*run_in, "pip", "--version")
        buildah(*run_in, "groupadd", "--help")
    finally:
        buildah("rm", container)
