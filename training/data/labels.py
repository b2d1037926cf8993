"""Classes of images: the folders that hold them."""

import os
from pathlib import PurePosixPath

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from ganvas.card import ClassName
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


def class_names(folder: ImageFolder) -> tuple[str, ...]:
    """The names of the classes, in the order of `labels_of`: the folders that hold images, without what all paths share.

    Raises:
        DataError: a folder's name cannot be the name of a class.
    """
    folders = sorted({_folder(name) for name in folder.names})
    common = os.path.commonpath([_folder(each) for each in folders])
    names = tuple(PurePosixPath(each).relative_to(common).as_posix() for each in folders)
    for name in names:
        try:
            TypeAdapter(ClassName).validate_python(name)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise DataError(f"The folder {name!r} of {folder.path} cannot name a class: {reason}. Rename the folder.") from None
    return names


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()
