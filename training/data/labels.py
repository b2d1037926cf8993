"""Classes of pictures: the folders that they lie in."""

from pathlib import PurePosixPath

import torch
from torch import Tensor

from training.data.image_folder import ImageFolder
from training.errors import DataError


def labels_of(pictures: ImageFolder, classes: int) -> Tensor:
    """The class of each picture: the place of its folder among all folders that hold pictures, sorted.

    Args:
        pictures: N of them.
        classes: how many folders there have to be.

    Returns:
        int64 [N] in 0..classes-1, in the order of their names.

    Raises:
        DataError: there are more or fewer folders; names some.
    """
    folders = sorted({_folder(name) for name in pictures.names})
    if len(folders) != classes:
        shown = ", ".join(folders[:5]) + (", ..." if len(folders) > 5 else "")
        raise DataError(
            f"{pictures.path} holds pictures in {len(folders)} folders ({shown}), and classes is {classes}. Sort the pictures "
            f"into a folder a class and set classes={len(folders)}, or leave classes at 0."
        )
    return torch.tensor([folders.index(_folder(name)) for name in pictures.names])


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()
