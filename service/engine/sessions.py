"""One exported model as an onnxruntime session: opened on the requested device, compared with its card, warmed up.

onnxruntime silently falls back to the CPU if a provider cannot start. So a model counts as loaded only after the session's real
providers were checked and a real inference was run.
"""

import base64
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime as ort
from pydantic import ValidationError

from ganvas.card import METADATA_KEY, OUTPUT, Card, parse_card
from ganvas.cpus import available_cpus
from service.engine.arrays import Feeds, Images
from service.engine.errors import DeviceError, RefusedError
from service.engine.folder import version_of
from service.engine.model_file import MAX_BYTES, read
from service.settings import Device

logger = logging.getLogger("ganvas.engine")

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}  # onnxruntime's name -> the card's
DEVICES = {CPU: "cpu", CUDA: "cuda", TENSORRT: "tensorrt"}
# Shapes vary from batch to batch. The default, an exhaustive search, would time every algorithm again for each shape.
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
# Batches of one model that run in parallel on the CPU. On two cores, two batches with a core each made 1.2 to 1.4 times the
# images per second of one batch on both cores, whose threads wait for each other between layers.
MAX_PARALLEL_BATCHES = 4
_CODE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")
# A path of a source file with a line and a signature, whose parentheses may hold others; or only a file, a line and a name.
_SIGNATURE = r"[^()]*\((?:[^()]|\([^()]*\))*\)(?: const)?(?: \[with [^]]*\])?"
_PLACE = re.compile(rf"\S*[/\\]\S+\.(?:cc|cu|h)\w*:\d+ {_SIGNATURE}\s|\b\w+\.(?:cc|cu|h)\w*:\d+ \w+ ")
# The smallest graph, x + x of one float. It tries a device before any model is loaded.
TRIAL = base64.b64decode("CAoSADo1Cg4KAXgKAXgSAXkiA0FkZBIBcFoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBQ=")

ort.disable_telemetry_events()  # nothing about what is served leaves this machine


@dataclass(frozen=True)
class LoadedModel:
    """A session that fits its card, on a device that works.

    Attributes:
        card: from the file.
        version: hash of the file's content.
        session: uses all threads, for a batch that runs alone.
        parallel_session: for batches that run in parallel. Its threads and one caller per batch use every core. None: batches
            never run in parallel.
        parallel_batches: how many batches run at a time.
    """

    card: Card
    version: str
    session: ort.InferenceSession
    parallel_session: ort.InferenceSession | None = None
    parallel_batches: int = 1

    @property
    def device(self) -> str:
        """cpu, cuda or tensorrt."""
        return DEVICES[self.session.get_providers()[0]]

    def run(self, feeds: Feeds, *, alone: bool = True) -> Images:
        """Run one batch.

        Args:
            feeds: the card's inputs, complete.
            alone: whether the batch may use every thread.
        """
        if self.device == "cpu":
            session = self.session if alone or self.parallel_session is None else self.parallel_session
            return cast("Images", session.run([OUTPUT], dict(feeds))[0])
        # With the output bound to the device, the images are copied to the CPU once, when they are complete.
        binding = self.session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), "cuda", 0))
        binding.bind_output(OUTPUT, "cuda", 0)
        self.session.run_with_iobinding(binding)
        return cast("Images", binding.copy_outputs_to_cpu()[0])


def try_device(device: Device) -> None:
    """Run the smallest graph on a device that was requested by name, so that a missing device is an error even without models.

    Raises:
        DeviceError: the device does not work.
    """
    if device in ("auto", "cpu"):
        return
    try:
        _open(TRIAL, device, 1).run(None, {"x": np.ones(1, np.float32)})
    except DeviceError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise DeviceError(f"GANVAS_DEVICE={device}, but nothing runs on it here: {_reason(error)}") from None


def load_model(path: Path, device: Device, threads: int, max_bytes: int = MAX_BYTES) -> LoadedModel:
    """Read one exported model from its file and open it; see `open_model`.

    Args:
        path: NAME.onnx; the card must say the same NAME.
        device: where to run it.
        threads: CPU threads; 0: one per CPU that the process may use.
        max_bytes: largest file.

    Raises:
        RefusedError: as `read` and `open_model`.
        DeviceError: the requested device does not work.
    """
    return open_model(path.stem, read(path, max_bytes), device, threads)


def open_model(name: str, data: bytes, device: Device, threads: int) -> LoadedModel:
    """Open one exported model, compare it with its card and run it once.

    Args:
        name: of the model; the card must say the same.
        data: the content of its file, from `service.engine.model_file.read`.
        device: where to run it.
        threads: CPU threads; 0: one per CPU that the process may use.

    Raises:
        RefusedError: this is not a model, it has no card, disagrees with its card, or does not run.
        DeviceError: the requested device does not work.
    """
    threads = threads or available_cpus()
    version = version_of(data)
    session = _open(data, device, threads)
    card = _read_card(session, name)
    compare(card, session)
    parallel = min(threads, MAX_PARALLEL_BATCHES) if session.get_providers()[0] == CPU else 1
    # The calling thread is one of a session's threads. With one caller per batch, callers and own threads use every core.
    parallel_session = _session(data, [CPU], threads - parallel + 1) if parallel > 1 else None
    model = LoadedModel(card, version, session, parallel_session, parallel)
    _warm_up(model)
    logger.info("Loaded %s@%s (%s, %s).", card.name, version, card.kind, model.device)
    return model


def _read_card(session: ort.InferenceSession, name: str) -> Card:
    try:
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise RefusedError(f"it has no model card ({METADATA_KEY!r}); export it with `python -m training export`")
        card = parse_card(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise RefusedError(f"its card cannot be read: {f'{place}: ' if place else ''}{message}") from None
    except ValueError as error:  # it is too large, or not UTF-8
        raise RefusedError(f"its card cannot be read: {error}") from None
    if card.name != name:
        raise RefusedError(f"its card names the model {card.name!r}; rename the file to {card.name}.onnx")
    return card


def compare(card: Card, session: ort.InferenceSession) -> None:
    """Compare a card with the session's real inputs and outputs.

    Raises:
        RefusedError: they disagree; the message names the tensor and the disagreement.
    """
    for role, promised, real in (
        ("input", card.inputs, session.get_inputs()),
        ("output", (card.output,), session.get_outputs()),
    ):
        found = {tensor.name: tensor for tensor in real}
        names = {tensor.name for tensor in promised}
        if found.keys() != names:
            raise RefusedError(f"its {role}s are {sorted(found)}; a {card.kind} has {sorted(names)}")
        for tensor in promised:
            onnx = found[tensor.name]
            if mismatch := tensor.mismatch(DTYPES.get(onnx.type, onnx.type), onnx.shape):
                raise RefusedError(f"its {role} {tensor.name!r} {mismatch}")


def _warm_up(model: LoadedModel) -> None:
    """Run one row and two rows, each in its own session, at the smallest size; check shapes and independence of rows."""
    card = model.card
    feeds = card.example(2)
    size = card.output.sizes({name: dimension.fit(1) for name, dimension in card.dimensions.items()})[1:]
    try:
        alone = model.run({name: array[:1] for name, array in feeds.items()})
        both = model.run(feeds, alone=False)
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise RefusedError(f"it does not run: {_reason(error)}") from None
    if alone.shape != (1, *size):
        raise RefusedError(f"it makes images of shape {list(alone.shape)}, the card says {[1, *size]}")
    if both.shape != (2, *size):
        raise RefusedError(f"it makes images of shape {list(both.shape)} for two rows, the card says {[2, *size]}")
    difference = np.abs(both[:1].astype(np.int16) - alone).mean()
    if difference > 1:
        raise RefusedError(f"its images depend on their neighbours in a batch: {difference:.1f} grey levels on average")


def _open(data: bytes, device: Device, threads: int) -> ort.InferenceSession:
    """Open a session on the requested device, without a fallback."""
    if device == "cpu":
        return _session(data, [CPU], threads)
    wanted = TENSORRT if device == "tensorrt" else CUDA
    if wanted in ort.get_available_providers():
        ort.preload_dlls()  # CUDA libraries that are installed as wheels
        providers: list[object] = [(CUDA, CUDA_OPTIONS), CPU]
        session = _session(data, [TENSORRT, *providers] if device == "tensorrt" else providers, threads)
        if wanted in session.get_providers():
            return session
        reason = "its libraries (CUDA, cuDNN, driver) do not load; see the message of onnxruntime above"
    else:
        reason = f"this onnxruntime offers only {', '.join(ort.get_available_providers())}"
    if device == "auto":
        return _session(data, [CPU], threads)
    raise DeviceError(f"GANVAS_DEVICE={device}, but {wanted} does not run here: {reason}")


def _session(data: bytes, providers: list[object], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # A memory plan for every shape would be kept forever: photos of many sizes would fill hundreds of megabytes.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.load_model_format", "ONNX")  # the other format is checked less
    options.log_severity_level = 3  # errors only; the exception says what is wrong with a broken file
    try:
        return ort.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise RefusedError(f"onnxruntime cannot read it: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """The sentence of an exception of onnxruntime, without its error code and its place in the source of onnxruntime."""
    sentence = _PLACE.sub("", _CODE.sub("", str(error))).strip()
    return sentence.splitlines()[0] if sentence else type(error).__name__
