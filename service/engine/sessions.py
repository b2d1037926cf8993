"""One exported model as an onnxruntime session: opened on the device asked for, compared with its card, warmed up.

onnxruntime falls back to the CPU without a word where a provider cannot start, so the providers that a session really
has are checked, and a real inference is run, before a model counts as loaded.
"""

import base64
import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from pydantic import ValidationError

from ganvas.card import METADATA_KEY, OUTPUT, Card, parse_card
from service.engine.errors import DeviceError, RefusedError
from service.settings import Device

logger = logging.getLogger("ganvas.engine")

Array = npt.NDArray[np.generic]
Feeds = Mapping[str, Array]
Pictures = npt.NDArray[np.uint8]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}  # what onnxruntime calls them -> what a card does
DEVICES = {CPU: "cpu", CUDA: "cuda", TENSORRT: "tensorrt"}
# Shapes vary from batch to batch: the default, exhaustive search would time every algorithm again for each.
CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
# Batches of one model that run at a time on the CPU and share the threads: two on a core each made 1.2 to 1.4 times the
# pictures of one on both, whose threads wait for each other between layers.
MOST_LANES = 4
# The smallest of graphs, x + x of one float, with which a device is tried before there is a model.
TRIAL = base64.b64decode("CAoSADo1Cg4KAXgKAXgSAXkiA0FkZBIBcFoPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBQ=")

ort.disable_telemetry_events()  # nothing of what is served is anybody else's business


@dataclass(frozen=True)
class LoadedModel:
    """A session that fits its card, on a device that works.

    Attributes:
        card: the file's.
        version: of the file's content.
        session: of all threads, for a batch that runs alone.
        shared: of as many that, with a caller a lane, all are at work, for batches that run side by side; None: none do.
        lanes: how many run at a time.
    """

    card: Card
    version: str
    session: ort.InferenceSession
    shared: ort.InferenceSession | None = None
    lanes: int = 1

    @property
    def device(self) -> str:
        """Where it runs: cpu, cuda or tensorrt."""
        return DEVICES[self.session.get_providers()[0]]

    def run(self, feeds: Feeds, *, alone: bool = True) -> Pictures:
        """Run one batch: the card's inputs to pictures, uint8 [n, h, w, c].

        Args:
            feeds: the card's inputs.
            alone: whether it may have every thread.
        """
        if self.device == "cpu":
            session = self.session if alone or self.shared is None else self.shared
            return cast("Pictures", session.run([OUTPUT], dict(feeds))[0])
        # Bound to the device, pictures are copied once, when they are whole; `run` would have every output's place on the CPU.
        binding = self.session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), "cuda", 0))
        binding.bind_output(OUTPUT, "cuda", 0)
        self.session.run_with_iobinding(binding)
        return cast("Pictures", binding.copy_outputs_to_cpu()[0])


def try_device(device: Device) -> None:
    """Run the smallest of graphs on a device that was asked for by name: it may be missing though no file needs it yet.

    Raises:
        DeviceError: it does not work.
    """
    if device in ("auto", "cpu"):
        return
    try:
        _open(TRIAL, device, 1).run(None, {"x": np.ones(1, np.float32)})
    except DeviceError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise DeviceError(f"GANVAS_DEVICE={device}, but nothing runs on it here: {_first_line(error)}") from None


def load_model(path: Path, device: Device, threads: int) -> LoadedModel:
    """Open one exported model, compare it with its card and run it once.

    Args:
        path: NAME.onnx, whose card says the same NAME.
        device: where to run it.
        threads: CPU threads; 0 leaves it to onnxruntime.

    Raises:
        RefusedError: the file is no model, has no card, disagrees with it, or does not run.
        DeviceError: the device asked for does not work.
    """
    data = path.read_bytes()
    version = hashlib.sha256(data).hexdigest()[:12]
    session = _open(data, device, threads)
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise RefusedError(f"it has no model card: its metadata lacks {METADATA_KEY!r}; export it with `python -m training`")
    try:
        card = parse_card(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise RefusedError(f"its card cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if card.name != path.stem:
        raise RefusedError(f"its card is of {card.name!r}: the file must be named {card.name}.onnx")
    compare(card, session)
    every = threads or os.cpu_count() or 1
    lanes = min(every, MOST_LANES) if session.get_providers()[0] == CPU else 1
    # A session's threads are its own but one, which is whoever calls it: with one caller a lane, that comes to every core.
    shared = _session(data, [CPU], every - lanes + 1) if lanes > 1 else None
    model = LoadedModel(card, version, session, shared, lanes)
    _warm_up(model)
    logger.info("%s@%s is loaded (%s, %s)", card.name, version, card.kind, model.device)
    return model


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
    """Run one row and two rows, each in its own session, at the smallest size: shapes are the card's, rows are independent."""
    card = model.card
    feeds = card.example(2)
    size = card.output.sizes({name: dimension.fit(1) for name, dimension in card.dimensions.items()})[1:]
    try:
        alone = model.run({name: array[:1] for name, array in feeds.items()})
        both = model.run(feeds, alone=False)
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise RefusedError(f"it does not run: {_first_line(error)}") from None
    if alone.shape != (1, *size):
        raise RefusedError(f"it makes images of shape {list(alone.shape)}, the card says {[1, *size]}")
    if both.shape != (2, *size):
        raise RefusedError(f"it makes images of shape {list(both.shape)} of two rows, the card says {[2, *size]}")
    difference = np.abs(both[:1].astype(np.int16) - alone).mean()
    if difference > 1:
        raise RefusedError(f"its pictures depend on their neighbours in a batch: {difference:.1f} grey levels on average")


def _open(data: bytes, device: Device, threads: int) -> ort.InferenceSession:
    """Open a session on the device asked for, and only there."""
    if device == "cpu":
        return _session(data, [CPU], threads)
    wanted = TENSORRT if device == "tensorrt" else CUDA
    if wanted in ort.get_available_providers():
        ort.preload_dlls()  # the CUDA libraries that came as wheels
        providers: list[object] = [(CUDA, CUDA_OPTIONS), CPU]
        session = _session(data, [TENSORRT, *providers] if device == "tensorrt" else providers, threads)
        if wanted in session.get_providers():
            return session
        reason = "its libraries (CUDA, cuDNN, a driver) do not load; onnxruntime's own message is above"
    else:
        reason = f"this onnxruntime has only {', '.join(ort.get_available_providers())}"
    if device == "auto":
        return _session(data, [CPU], threads)
    raise DeviceError(f"GANVAS_DEVICE={device}, but {wanted} does not run here: {reason}")


def _session(data: bytes, providers: list[object], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # A plan of memory for every shape ever seen, kept for good: photos of all sizes would fill hundreds of megabytes.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors; what matters of a broken file is in the exception
    try:
        return ort.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise RefusedError(f"onnxruntime cannot read it: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
