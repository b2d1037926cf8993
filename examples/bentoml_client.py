"""BentoML's own client, without the Ganvas package: python examples/bentoml_client.py PHOTO.

Each call saves the response to a temporary file and returns its path.
"""

import os
import shutil
import sys
from pathlib import Path

import bentoml

photo = Path(sys.argv[1])

with bentoml.SyncHTTPClient(os.environ.get("GANVAS_URL", "http://localhost:3000")) as client:
    shutil.copy(client.sample(model="digits", n=16, seed=7, format="png"), "digits.png")
    shutil.copy(client.interpolate(model="digits", seeds=[7, 11], steps=8), "walk.webp")
    shutil.copy(client.stylize(image=[photo], style="starry-night", max_side=512), "painted.jpg")
    try:
        client.stylize(image=[photo], style="rembrandt")
    except bentoml.exceptions.BentoMLException as error:
        print(error)
