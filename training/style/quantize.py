"""Turns an exported stylizer's convolutions to int8: faster on CPUs with VNNI, and nearly the same pictures.

    python -m training int8 exported/painters.onnx exported/painters-int8.onnx --content photos

QDQ form, Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference":
weights as int8 with a scale for each output channel, activations as uint8 with one scale a tensor, whose range is what a few
photos, painted in every style, bring about. All else, the normalisation above all, stays float32.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from rich.progress import track

from ganvas.card import METADATA_KEY, OUTPUT, StylizerCard, dump_card
from training.data.image_folder import UNREADABLE, ImageFolder
from training.errors import ConfigError, DataError, ExportError
from training.export import check_name, write_model
from training.table import read_card

Inputs = dict[str, np.ndarray]
"""Of one run of a stylizer, by name."""

PHOTOS = 12
"""From which the ranges are taken. Each is painted in one style, or in as many as it takes for every style to be seen."""
SIDE = 256
_MOST_LEVELS = 16.0  # grey levels, mean: the shipped network moves by 2, an untrained one by 10


def int8_stylizer(path: Path, out: Path, photos: ImageFolder) -> float:
    """Write an exported stylizer anew, with its convolutions in int8.

    Its card says so, and leaves its metrics out: they are of other pictures.

    Args:
        path: the exported file.
        out: the file to write, NAME.onnx.
        photos: the first of them are painted for the ranges.

    Returns:
        By how many grey levels its pictures of those photos differ from the exported file's, in the mean.

    Raises:
        ConfigError: the file is a generator, or in int8 already.
        DataError: no photo can be decoded.
        ExportError: the name is none, the pictures differ by far, or the file cannot be written.
    """
    check_name(out)
    card = read_card(path)
    if not isinstance(card, StylizerCard):
        raise ConfigError(f"{path} is a generator; int8 is for stylizers.")
    model = onnx.load(path)
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        raise ConfigError(f"{path} is in int8 already. Name the file that it was made from.")
    inputs = calibration(card, photos)
    small = quantized(model, inputs)
    told = {"name": out.stem, "architecture": f"{card.architecture}; convolutions in int8", "metrics": ()}
    onnx.helper.set_model_props(small, {METADATA_KEY: dump_card(card.model_copy(update=told))})
    onnx.checker.check_model(small, full_check=True)
    levels = _difference(model, small, inputs)
    if levels > _MOST_LEVELS:
        raise ExportError(
            f"In int8, {path} paints pictures that are {levels:.1f} grey levels off in the mean; {_MOST_LEVELS:g} are allowed. "
            "Nothing was written. Give it photos like those that it is for, or keep it as it is."
        )
    write_model(small, out)
    return levels


def calibration(card: StylizerCard, photos: ImageFolder) -> list[Inputs]:
    """Photos and styles in turn, until each photo and each style was there once.

    Raises:
        DataError: no photo can be decoded.
    """
    side = max(SIDE // card.size_multiple * card.size_multiple, card.min_side)
    pictures = list(_decoded(photos, side))
    if not pictures:
        raise DataError(f"No photo in {photos.path} can be decoded.")
    styles = np.eye(len(card.styles), dtype=np.float32)
    one = np.ones(1, np.float32)
    return [
        {
            "images": pictures[i % len(pictures)][None],
            "styles": styles[[i % len(styles)]],
            "strength": one,
            "keep_color": 0 * one,
        }
        for i in range(max(len(pictures), len(styles)))
    ]


def quantized(model: onnx.ModelProto, inputs: Sequence[Inputs]) -> onnx.ModelProto:
    """The same model with its convolutions in int8, without a card.

    Args:
        model: from `training.export.to_onnx`, or an exported file.
        inputs: of the runs from which the ranges of activations are taken.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, done = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "done"))
        onnx.save(model, plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)  # which does not know all dynamic sizes
        quantize_static(
            ready, done, _Reader(inputs), per_channel=True, reduce_range=True, op_types_to_quantize=["Conv"],
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return onnx.load(done)


class _Reader(CalibrationDataReader):
    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._left = iter(track(inputs, "Calibrating", transient=True))

    def get_next(self) -> Inputs | None:
        return next(self._left, None)


def _decoded(photos: ImageFolder, side: int) -> Iterator[np.ndarray]:
    """Squares uint8 [side, side, 3] of the first photos that can be decoded."""
    left = PHOTOS
    for name in photos.names:
        if not left:
            return
        try:
            yield np.array(photos.open(name, "RGB").resize((side, side)))
        except UNREADABLE:
            continue
        left -= 1


def _difference(model: onnx.ModelProto, small: onnx.ModelProto, inputs: Sequence[Inputs]) -> float:
    plain, int8 = (
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]) for each in (model, small)
    )
    levels = []
    for each in track(inputs, "Comparing", transient=True):
        (expected,), (found,) = plain.run([OUTPUT], each), int8.run([OUTPUT], each)
        levels.append(np.abs(expected.astype(np.float32) - found).mean())
    return float(np.mean(levels))
