"""Conversion of an exported stylizer to int8."""

import base64
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from ganvas.card import OUTPUT, StylizerCard
from tests.training.commands import call, refused
from tests.training.conftest import MakeImages
from training.data.image_folder import open_image_folder
from training.errors import DataError, ExportError
from training.onnx_file import Inputs, read_card, set_card
from training.style.quantize import calibration, int8_stylizer


def card_of(path: Path) -> StylizerCard:
    card = read_card(path)
    assert isinstance(card, StylizerCard)
    return card


def paint(path: Path, inputs: Inputs) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (images,) = session.run([OUTPUT], inputs)
    return np.asarray(images, np.float32)


def test_converts_every_convolution(exported_stylizer: Path, make_images: MakeImages, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    result = call("int8", exported_stylizer, out, "--content", make_images("photos", 3))
    assert result.exit_code == 0, result.output
    assert f"differ from those of {exported_stylizer} by" in " ".join(result.output.split())
    graph = onnx.load(out).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in onnx.load(exported_stylizer).graph.node)
    for node in convolutions:
        weight, scale = (weights[name] for name in made[node.input[1]].input[:2])
        assert weight.dtype == np.int8
        assert scale.shape == weight.shape[:1], "a scale for each output channel"
        assert made[node.input[0]].op_type == "DequantizeLinear"


def test_int8_paints_nearly_the_same_images(exported_stylizer: Path, make_images: MakeImages, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    photos = open_image_folder(make_images("photos", 3))
    levels = int8_stylizer(exported_stylizer, out, photos)
    card = card_of(exported_stylizer)
    inputs = calibration(card, photos)
    differences = [np.abs(paint(exported_stylizer, each) - paint(out, each)).mean() for each in inputs]
    assert 0 < levels < 24
    assert levels == pytest.approx(np.mean(differences), rel=1e-3)
    photo = {**inputs[0], "strength": np.zeros(1, np.float32)}
    assert np.array_equal(paint(out, photo), photo["images"]), "strength 0 gives the photo back"
    assert read_card(out) == card.model_copy(
        update={"name": "small", "architecture": f"{card.architecture}; convolutions in int8", "metrics": ()}
    )


def test_calibration_uses_every_photo_and_every_style(exported_stylizer: Path, make_images: MakeImages) -> None:
    card = card_of(exported_stylizer)
    for count, runs in ((2, 3), (4, 4), (14, 12)):
        photos = open_image_folder(make_images(f"photos-{count}", count))
        inputs = calibration(card, photos)
        assert len(inputs) == runs
        assert len({each["images"].tobytes() for each in inputs}) == min(count, 12)
        assert len({each["styles"].tobytes() for each in inputs}) == 3


def test_calibration_skips_broken_photos(exported_stylizer: Path, make_images: MakeImages) -> None:
    folder = make_images("photos", 3, size=(200, 200))
    for path in sorted(folder.iterdir())[:2]:
        path.write_bytes(path.read_bytes()[:400])  # the header stays valid
    assert len({each["images"].tobytes() for each in calibration(card_of(exported_stylizer), open_image_folder(folder))}) == 1
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:400])
    with pytest.raises(DataError, match="No photo in"):
        calibration(card_of(exported_stylizer), open_image_folder(folder))


def test_refuses_generators_int8_files_and_wrong_names(
    exported_stylizer: Path, exported_generator: Path, make_images: MakeImages, tmp_path: Path
) -> None:
    photos, out = make_images("photos", 2), tmp_path / "out.onnx"
    said = refused("int8", exported_generator, out, "--content", photos)
    assert "is a generator. Only a stylizer can be converted to int8" in said
    assert "is not an .onnx file" in refused("int8", exported_stylizer, tmp_path / "out.pt", "--content", photos)
    assert "does not exist" in refused("int8", exported_stylizer, out, "--content", tmp_path / "nowhere")
    assert not out.exists()
    int8_stylizer(exported_stylizer, out, open_image_folder(photos))
    before = out.read_bytes()
    assert "is in int8 already" in refused("int8", out, tmp_path / "again.onnx", "--content", photos)
    assert out.read_bytes() == before


def test_refuses_a_network_that_int8_would_ruin(exported_stylizer: Path, make_images: MakeImages, tmp_path: Path) -> None:
    """A channel that is far larger than the others, and that the last layer ignores, leaves them one level of 256."""
    model, card = onnx.load(exported_stylizer), card_of(exported_stylizer)
    weights = {each.name: each for each in model.graph.initializer}
    last = numpy_helper.to_array(weights["stylizer.last.conv.weight"]).copy()
    last[:, 0] = 0
    last *= 5  # so that what is lost can be seen
    weights["stylizer.last.conv.weight"].CopyFrom(numpy_helper.from_array(last, "stylizer.last.conv.weight"))
    vectors = card.style_vectors().astype("<f2")
    vectors[:, -2 * last.shape[1]] = 6e4  # the first scale of the last norm
    loud = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    styles = [style.model_copy(update={"vector": vector}) for style, vector in zip(card.styles, loud, strict=True)]
    set_card(model, card.model_copy(update={"styles": tuple(styles)}))
    onnx.save(model, tmp_path / "loud.onnx")
    with pytest.raises(ExportError, match=r"are \d+\.\d grey levels off on average; 24 are allowed"):
        int8_stylizer(tmp_path / "loud.onnx", tmp_path / "out.onnx", open_image_folder(make_images("photos", 2)))
    assert not (tmp_path / "out.onnx").exists()
