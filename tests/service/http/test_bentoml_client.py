"""The POST routes are real BentoML APIs: BentoML's own client can call them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from ganvas.interpolation import interpolate
from service.engine.classes import with_classes
from service.engine.latents import latents_of_seed
from tests.service.onnx_models import CLASSES, LATENT_SIZE, generated, styled
from tests.service.running import Running

# In its own process: the import of BentoML causes warnings, and warnings are errors here.
SCRIPT = """
import shutil, sys
from pathlib import Path
import bentoml

url, photo, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
with bentoml.SyncHTTPClient(url) as client:
    shutil.copy(client.sample(seed=7, n=3, format="npy"), out / "samples.npy")
    shutil.copy(client.sample(latents=[[0.0, 1.0, 0, 0, 0, 0]], format="npy", model="digits"), out / "latents.npy")
    shutil.copy(client.sample(seed=7, n=3, format="npy", **{"class": "one"}), out / "ones.npy")
    shutil.copy(client.interpolate(seeds=[7, 8], steps=5, loop=False, format="npy"), out / "walk.npy")
    shutil.copy(client.interpolate(seeds=[7, 8], steps=5, fps=12), out / "walk.webp")
    shutil.copy(client.stylize(image=[photo], style="night", strength=0.5, format="png"), out / "styled.png")
    shutil.copy(client.stylize(image=[photo, photo], style="night:1,wave:1"), out / "styled.zip")
    try:
        client.sample(n=1000)
    except bentoml.exceptions.BentoMLException as error:
        (out / "error").write_text(f"{error.error_code.value} {error}")
"""


def test_bentoml_client_calls_every_post_route(service: Running, photo: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    arguments = [service.url, str(tmp_path / "photo.png"), str(tmp_path)]
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=True, timeout=60)

    latents = latents_of_seed(7, 3, LATENT_SIZE)
    np.testing.assert_array_equal(np.load(tmp_path / "samples.npy"), generated(latents))
    np.testing.assert_array_equal(np.load(tmp_path / "latents.npy"), generated(np.eye(6, dtype=np.float32)[1:2]))
    ones = with_classes(latents, np.full(3, CLASSES.index("one")), len(CLASSES))
    np.testing.assert_array_equal(np.load(tmp_path / "ones.npy"), generated(ones))
    keys = np.concatenate([latents_of_seed(seed, 1, LATENT_SIZE) for seed in (7, 8)])
    np.testing.assert_array_equal(np.load(tmp_path / "walk.npy"), generated(interpolate(keys, 5, loop=False)))
    with Image.open(tmp_path / "walk.webp") as animation:
        assert len([*ImageSequence.Iterator(animation)]) == 10
    expected = styled(photo, np.array([1, 0, 0], np.float32), 0.5, 0)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "styled.png")), expected)
    assert (tmp_path / "styled.zip").read_bytes()[:2] == b"PK"
    assert "422" in (tmp_path / "error").read_text()
    assert "less than or equal to 40" in (tmp_path / "error").read_text()
