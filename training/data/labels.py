"""Classes of images: the folders that hold them."""

from pathlib import PurePosixPath

import torch
from torch import Tensor

from training.data.image_folder import ImageFolder
from training.errors import DataError
from training.text import count_of


def labels_of(folder: ImageFolder, classes: int) -> Tensor:
    """The class of each image: the index of its folder among the sorted folders that hold images.

    Args:
        folder: N images.
        classes: number of folders that must hold images.

    Returns:
        int64 [N] in 0..classes-1, in the order of names.

    Raises:
        DataError: there are more or fewer folders.
    """
    folders = sorted({_folder(name) for name in folder.names})
    if len(folders) != classes:
        shown = ", ".join(folders[:5]) + (", ..." if len(folders) > 5 else "")
        raise DataError(
            f"{folder.path} holds images in {count_of(len(folders), 'folder')} ({shown}), but classes.count is "
            f"{classes}. Put the images of each class into one folder and set classes.count={len(folders)}, or 0 for no class."
        )
    return torch.tensor([folders.index(_folder(name)) for name in folder.names])


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()
