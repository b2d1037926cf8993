"""Converts the convolutions of an exported stylizer to int8: faster on CPUs with VNNI, with nearly the same images.

    python -m training int8 exported/painters.onnx exported/painters-int8.onnx --content photos

QDQ form, Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference":
weights are int8 with one scale for each output channel, activations are uint8 with one scale a tensor. A few photos, each
painted in one of the styles, give the range of each activation. Everything else, above all the normalisation, stays float32.
`training.style.phases` keeps upsampling free of a lattice.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from ganvas.card import IMAGES, KEEP_COLOR, OUTPUT, STRENGTH, STYLES, StylizerCard
from training.console import track
from training.data.image_folder import UNREADABLE, ImageFolder, nothing_decoded, reason
from training.errors import ConfigError, ExportError
from training.onnx_file import Inputs, check_name, read_card, set_card, write_model
from training.style.phases import equal_phases

PHOTOS = 12
"""Photos that calibrate the ranges. Each is painted in one style, and more than once if there are more styles than photos."""

SIDE = 256  # pixels
_MAX_DIFFERENCE = 24.0  # grey levels, mean: the shipped network moves by 2, an untrained one by 17


def int8_stylizer(path: Path, out: Path, photos: ImageFolder) -> float:
    """Write an exported stylizer with its convolutions in int8.

    The new card says so and has no metrics, because they were measured on other images.

    Args:
        path: the exported file.
        out: the file to write, NAME.onnx.
        photos: the first of them are painted to calibrate the ranges.

    Returns:
        Mean difference from the exported file's images of these photos, in grey levels.

    Raises:
        ConfigError: the file is not a stylizer, or is in int8 already.
        DataError: no photo can be decoded.
        ExportError: the name is not allowed, the images differ too much, or the file cannot be written.
    """
    check_name(out)
    card = read_card(path)
    if not isinstance(card, StylizerCard):
        raise ConfigError(f"{path} is a {card.kind}. Only a stylizer can be converted to int8.")
    model = onnx.load(path)
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        raise ConfigError(f"{path} is in int8 already. Name the file that it was made from.")
    inputs = calibration(card, photos)
    small = quantized(model, inputs)
    changes = {"name": out.stem, "architecture": f"{card.architecture}; convolutions in int8", "metrics": ()}
    del small.metadata_props[:]  # the quantizer leaves some of its own
    set_card(small, card.model_copy(update=changes))
    onnx.checker.check_model(small, full_check=True)
    difference = _difference(model, small, inputs)
    if difference > _MAX_DIFFERENCE:
        raise ExportError(
            f"In int8, the images of {path} are {difference:.1f} grey levels off on average; {_MAX_DIFFERENCE:g} are allowed. "
            "Nothing was written. Calibrate with photos like those that the model is for, or keep the model as it is."
        )
    write_model(small, out)
    return difference


def calibration(card: StylizerCard, photos: ImageFolder) -> list[Inputs]:
    """Photos and styles in turn, until each photo and each style was used once.

    Raises:
        DataError: no photo can be decoded.
    """
    side = max(SIDE // card.size_multiple * card.size_multiple, card.min_side)
    images = _decoded(photos, side)
    styles = card.style_vectors()
    one = np.ones(1, np.float32)
    return [
        {
            IMAGES: images[i % len(images)][None],
            STYLES: styles[[i % len(styles)]],
            STRENGTH: one,
            KEEP_COLOR: 0 * one,
        }
        for i in range(max(len(images), len(styles)))
    ]


def quantized(model: onnx.ModelProto, inputs: Sequence[Inputs]) -> onnx.ModelProto:
    """The same model with its convolutions in int8, without a card.

    Args:
        model: from `training.export.to_onnx`, or an exported file.
        inputs: of the runs that calibrate the ranges of activations.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, done = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "done"))
        onnx.save(model, plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)  # it does not know all dynamic sizes
        quantize_static(
            ready, done, _Reader(inputs), per_channel=True, reduce_range=True, op_types_to_quantize=["Conv"],
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        small = onnx.load(done)
        equal_phases(small, {each.name: numpy_helper.to_array(each) for each in onnx.load(ready).graph.initializer})
        return small


class _Reader(CalibrationDataReader):
    def __init__(self, inputs: Sequence[Inputs]) -> None:
        self._remaining = iter(track(inputs, "Calibrating", unit="image"))

    def get_next(self) -> Inputs | None:
        return next(self._remaining, None)


def _decoded(photos: ImageFolder, side: int) -> list[np.ndarray]:
    """Squares uint8 [side, side, 3] of the first `PHOTOS` photos that can be decoded."""
    images, broken = [], {}
    for name in photos.names:
        try:
            images.append(np.array(photos.open(name, "RGB").resize((side, side))))
        except UNREADABLE as error:
            broken[name] = reason(error)
        if len(images) == PHOTOS:
            break
    if not images:
        raise nothing_decoded(photos, "photo", broken)
    return images


def _difference(model: onnx.ModelProto, small: onnx.ModelProto, inputs: Sequence[Inputs]) -> float:
    """Mean difference of the outputs of two models, in grey levels."""
    plain, int8 = (
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]) for each in (model, small)
    )
    levels = []
    for each in track(inputs, "Comparing", unit="image"):
        (expected,), (found,) = plain.run([OUTPUT], each), int8.run([OUTPUT], each)
        levels.append(np.abs(expected.astype(np.float32) - found).mean())
    return float(np.mean(levels))
