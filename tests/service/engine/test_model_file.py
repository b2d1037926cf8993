import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.engine.errors import RefusedError, UnreadableError
from service.engine.model_file import MAX_BYTES, examine, read
from tests.service.onnx_models import external_tensor, generator_card, generator_model, save, stylizer_card, stylizer_model


def model_file(folder: Path) -> Path:
    return save(generator_model(), folder / "digits.onnx", generator_card())


def test_reads_regular_file_and_link_to_one(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    (tmp_path / "..data").symlink_to(".")  # as Kubernetes mounts files
    (tmp_path / "link.onnx").symlink_to("..data/digits.onnx")
    assert read(path, MAX_BYTES) == read(tmp_path / "link.onnx", MAX_BYTES) == path.read_bytes()


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no space."""
    path.touch()
    os.truncate(path, size)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "a folder"),
        (os.mkfifo, "a device, pipe or socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device, pipe or socket"),
        (lambda path: path.symlink_to("/dev"), "a folder"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: sparse(path, 100 * 2**30), "107374182400 bytes; at most 2147483647"),
    ],
    ids=["folder", "pipe", "device", "linked folder", "empty", "sparse"],
)
def test_refuses_what_is_not_a_file_of_a_bounded_size(make: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "digits.onnx"
    make(path)
    with pytest.raises(RefusedError, match=reason) as caught:
        read(path, MAX_BYTES)
    assert not isinstance(caught.value, UnreadableError)
    if reason != "empty":
        with pytest.raises(RefusedError, match=reason):
            examine(path, MAX_BYTES)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to(path), lambda path: path.symlink_to("nothing")])
def test_broken_link_is_unreadable(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "a.onnx")
    with pytest.raises(UnreadableError, match="cannot be read"):
        read(tmp_path / "a.onnx", MAX_BYTES)


def test_largest_allowed_file_is_read(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    size = path.stat().st_size
    assert len(read(path, size)) == size
    with pytest.raises(RefusedError, match=f"{size} bytes; at most {size - 1}"):
        read(path, size - 1)


def test_reads_model_whose_text_mentions_locations(tmp_path: Path) -> None:
    """The position of a tensor counts, not the words in the file."""
    card = generator_card(summary="external_data location data_location")
    read(save(generator_model(), tmp_path / "a.onnx", card), MAX_BYTES)
    read(save(stylizer_model(), tmp_path / "b.onnx", stylizer_card()), MAX_BYTES)
    inside = generator_model()
    inside.graph.initializer[0].data_location = TensorProto.DEFAULT
    read(save(inside, tmp_path / "c.onnx", card), MAX_BYTES)


def in_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_attribute(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["w"], value=tensor))


def in_list_of_tensors(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("tensors", [tensor]))


def in_body_of_a_loop(model: onnx.ModelProto, tensor: TensorProto) -> None:
    body = helper.make_graph([helper.make_node("Constant", [], ["w"], value=tensor)], "body", [], [])
    branch = helper.make_graph([helper.make_node("Loop", ["n", "go"], ["x"], body=body)], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=branch, else_branch=branch))


def in_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["w"], value=tensor)
    model.functions.append(helper.make_function("own", "f", [], ["w"], [node], [helper.make_opsetid("", 20)]))


def in_sparse_tensor(model: onnx.ModelProto, tensor: TensorProto) -> None:
    indices = numpy_helper.from_array(numpy_helper.to_array(helper.make_tensor("i", TensorProto.INT64, [1], [0])), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [4]))


def in_training_info(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(tensor)


@pytest.mark.parametrize(
    "place",
    [in_initializer, in_attribute, in_list_of_tensors, in_body_of_a_loop, in_function, in_sparse_tensor, in_training_info],
)
@pytest.mark.parametrize("location", ["weights.bin", "/etc/passwd", "../../etc/passwd", "*/_ORT_MEM_ADDR_/*"])
def test_refuses_tensors_in_other_files_wherever_they_are(
    place: Callable[[onnx.ModelProto, TensorProto], None], location: str, tmp_path: Path
) -> None:
    model = generator_model()
    place(model, external_tensor(location))
    with pytest.raises(RefusedError, match="weights are in another file"):
        read(save(model, tmp_path / "a.onnx", generator_card()), MAX_BYTES)


def test_either_mark_of_an_external_tensor_is_enough(tmp_path: Path) -> None:
    for field in ("data_location", "external_data"):
        tensor = external_tensor("weights.bin")
        tensor.ClearField(field)
        model = generator_model()
        in_initializer(model, tensor)
        with pytest.raises(RefusedError, match="weights are in another file"):
            read(save(model, tmp_path / "a.onnx", generator_card()), MAX_BYTES)


@pytest.mark.parametrize(
    "content", [b"not a model", b"\x0b\x0c", b"\x80" * 20, b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x02\x0a", b"\x0d\x00"]
)
def test_refuses_what_is_not_protobuf(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(RefusedError, match="not an ONNX file"):
        read(tmp_path / "a.onnx", MAX_BYTES)
