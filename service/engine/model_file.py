"""Reading files of the models folder without trusting them: only regular files of a bounded size.

A model file must hold all of its model.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from service.engine.errors import RefusedError, UnreadableError

MAX_BYTES = 2**31 - 1
"""Largest model file. Protobuf, the format of ONNX files, allows no more."""

# Which fields of ONNX's messages lead to a tensor, by number (onnx.proto). Their numbers never change.
_Message = dict[int, "_Message"]
_TENSOR: _Message = {}
_SPARSE: _Message = {1: _TENSOR, 2: _TENSOR}
_GRAPH: _Message = {5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE: _Message = {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE}
_NODE: _Message = {5: _ATTRIBUTE}
_GRAPH[1] = _NODE
_FUNCTION: _Message = {7: _NODE, 11: _ATTRIBUTE}
_TRAINING: _Message = {1: _GRAPH, 2: _GRAPH}
_MODEL: _Message = {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor


def size_limit(max_model_mb: int) -> int:
    """Size in bytes of the largest model file that the setting GANVAS_MAX_MODEL_MB allows."""
    return min(max_model_mb * 2**20, MAX_BYTES)


def examine(path: Path, max_bytes: int) -> None:
    """Check what can be checked without reading the file.

    Raises:
        RefusedError: it is not a regular file or a link to one, or it is too large.
        UnreadableError: it cannot be opened now.
    """
    os.close(_open(path, max_bytes))


def read(path: Path, max_bytes: int) -> bytes:
    """Read a model file, and check that no part of its model is in another file.

    Raises:
        RefusedError: as `examine`; or it is not an ONNX file, or it refers to other files.
        UnreadableError: it cannot be read now, or it changed meanwhile.
    """
    data = read_any(path, max_bytes)
    _check_tensors(data)
    return data


def read_any(path: Path, max_bytes: int) -> bytes:
    """Read a file of any format. Raises as `examine`, or UnreadableError if the file changed meanwhile."""
    with open(_open(path, max_bytes), "rb") as file:
        before = os.fstat(file.fileno())
        try:
            data = file.read(before.st_size + 1)
        except OSError as error:
            raise _unreadable(error) from None
        after = os.fstat(file.fileno())
    if len(data) != before.st_size or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise UnreadableError("the file changed while it was read")
    return data


def _open(path: Path, max_bytes: int) -> int:
    """Open a file for reading. Links are followed: Kubernetes mounts files as links to regular files."""
    try:
        _check(path.stat(), max_bytes)  # before it is opened, which can have effects if it is a device
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # never waits for the writer of a pipe
    except OSError as error:
        raise _unreadable(error) from None
    try:
        _check(os.fstat(descriptor), max_bytes)
    except RefusedError:
        os.close(descriptor)
        raise
    return descriptor


def _check(status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise RefusedError(f"it is {what}, not a file")
    if status.st_size > max_bytes:
        raise RefusedError(f"it has {status.st_size} bytes; at most {max_bytes} are allowed (of models: GANVAS_MAX_MODEL_MB)")


def _unreadable(error: OSError) -> UnreadableError:
    return UnreadableError(f"the file cannot be read: {error.strerror or type(error).__name__}")


def _check_tensors(data: bytes) -> None:
    """Refuse a model with tensors in other files: onnxruntime would read these relative to the working directory.

    Raises:
        RefusedError: a tensor is in another file, or the file is not an ONNX file.
    """
    if not data:
        raise RefusedError("the file is empty")
    waiting: list[tuple[memoryview, _Message]] = [(memoryview(data), _MODEL)]
    try:
        while waiting:
            message, kind = waiting.pop()
            for number, value in _fields(message):
                if kind is _TENSOR and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
                    raise RefusedError("its weights are in another file; export it as one file (external_data=False)")
                if number in kind and isinstance(value, memoryview):
                    waiting.append((value, kind[number]))
    except (ValueError, IndexError):
        raise RefusedError("it is not an ONNX file, or it is cut off") from None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: number, and an integer or the bytes of what has a length.

    Raises:
        ValueError, IndexError: this is not a message.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        tag &= 0xFFFFFFFF  # as protobuf reads it
        wire_type = tag & 7
        value: int | memoryview = 0
        if wire_type == 0:
            value, at = _varint(message, at)
        elif wire_type == 2:
            length, start = _varint(message, at)
            at = start + length
            value = message[start:at]
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type}")  # groups: ONNX has none
        if at > end:
            raise ValueError("cut off")
        yield tag >> 3, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """An integer of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("too long")
