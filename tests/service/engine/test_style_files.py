"""Style files: more styles for a stylizer that is served, which come and go while the service runs."""

import asyncio
import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from ganvas.card import Style, StylizerCard
from ganvas.style_file import SUFFIX, StyleFile
from service.engine.errors import NotFoundError
from service.engine.handlers.stylizer import Stylizer
from service.engine.models import Models
from service.settings import Settings
from tests.service.onnx_models import STYLE_OFFSETS, save, stylizer_card, stylizer_model
from tests.service.process.test_drain import until
from tests.service.running import running

SPACE = "0123456789abcdef"


def half(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f2").tobytes()).decode()


def card(**changes: Any) -> StylizerCard:
    """Of `stylizer_model`, whose three styles are unit vectors."""
    plain = stylizer_card()
    styles = [style.model_copy(update={"vector": half(*row)}) for style, row in zip(plain.styles, np.eye(3), strict=True)]
    return StylizerCard.model_validate(plain.model_dump() | {"styles": styles, "style_space": SPACE} | changes)


def style_file(name: str, *vector: float, space: str = SPACE) -> str:
    style = Style(name=name, title=name.title(), artist="Anon", licence="CC0", vector=half(*vector))
    return StyleFile(style=style, style_space=space).model_dump_json()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(stylizer_model(), tmp_path / "painters.onnx", card())
    return tmp_path


def load(folder: Path) -> Models:
    return Models.load(Settings.model_validate({"models": folder, "device": "cpu"}))


def close(models: Models) -> None:
    asyncio.run(models.close())


def test_style_file_adds_a_named_style(folder: Path) -> None:
    (folder / f"dusk{SUFFIX}").write_text(style_file("dusk", 0.5, 0, 0.25))
    models = load(folder)
    stylizer = models.find(Stylizer, None)
    assert stylizer.style_names() == [*STYLE_OFFSETS, "dusk"]
    assert stylizer.style("dusk").tolist() == [0.5, 0, 0.25]
    assert stylizer.style("dusk:1,wave:3").tolist() == pytest.approx([0.125, 0.75, 0.0625])
    assert stylizer.style("night").tolist() == [1, 0, 0]
    assert models.refused == {}
    close(models)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("night", style_file("night", 1, 2, 3), "fits no served stylizer"),
        ("other", style_file("other", 1, 2, 3, space="f" * 16), "style_space ffffffffffffffff"),
        ("short", style_file("short", 1, 2), "vectors of this length"),
        ("a", style_file("b", 1, 2, 3), f"its style is called b; rename the file to b{SUFFIX}"),
        ("text", "not JSON", "it is not a style file"),
        ("none", "", "it is not a style file"),
        ("plain", json.dumps({"style": stylizer_card().styles[0].model_dump(), "style_space": SPACE}), "needs a vector"),
        ("nan", style_file("nan", 1, 2, 3).replace(half(1, 2, 3), half(1, 2, np.inf)), "style.vector"),
        ("large", " " * 2**18 + style_file("large", 1, 2, 3), "at most 262144 are allowed"),
    ],
)
def test_style_file_that_fits_nothing_is_refused_and_says_why(folder: Path, name: str, content: str, reason: str) -> None:
    (folder / f"{name}{SUFFIX}").write_text(content)
    models = load(folder)
    assert [*models.refused] == [f"{name}{SUFFIX}"]
    assert reason in models.refused[f"{name}{SUFFIX}"]
    assert models.find(Stylizer, None).style_names() == [*STYLE_OFFSETS]
    close(models)


def test_a_pipe_is_no_style_file(folder: Path) -> None:
    os.mkfifo(folder / f"pipe{SUFFIX}")
    models = load(folder)
    assert "pipe" in models.refused[f"pipe{SUFFIX}"]
    close(models)


def test_older_models_take_no_styles(tmp_path: Path) -> None:
    save(stylizer_model(), tmp_path / "painters.onnx", stylizer_card())
    (tmp_path / f"dusk{SUFFIX}").write_text(style_file("dusk", 1, 2, 3))
    models = load(tmp_path)
    assert [*models.refused] == [f"dusk{SUFFIX}"]
    with pytest.raises(NotFoundError, match="dusk"):
        models.find(Stylizer, None).style("dusk")
    close(models)


def test_styles_come_change_and_go_while_the_service_runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    photo = np.full((16, 16, 3), 200, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")

    def painted(client: httpx.Client) -> float:
        """The grey level of a painted photo: 255 - 200 + the offset of the style."""
        fields = {"style": "dusk", "format": "png"}
        response = client.post("/v1/stylize", files={"image": ("p.png", buffer.getvalue())}, data=fields)
        assert response.status_code == 200, response.text
        return float(np.asarray(Image.open(io.BytesIO(response.content))).mean())

    def styles(client: httpx.Client) -> list[str]:
        (model,) = client.get("/v1/models").json()["models"]
        return [style["name"] for style in model["card"]["styles"]]

    with (
        running(folder, tmp_path_factory.mktemp("log"), models_poll_s=0.05) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        preview = client.get("/v1/models/painters/preview.png")
        path = folder / f"dusk{SUFFIX}"
        path.write_text(style_file("dusk", 0.5, 0, 0))
        until(lambda: "dusk" in styles(client))
        assert painted(client) == 55 + 20
        assert client.get("/v1/models/painters/preview.png").headers["etag"] != preview.headers["etag"]
        path.write_text(style_file("dusk", 0, 0, 0.5))
        until(lambda: painted(client) == 55 + 50)
        save(stylizer_model(), folder / "painters.new", card(title="Better painters"))
        (folder / "painters.new").replace(folder / "painters.onnx")
        until(lambda: client.get("/v1/models/painters").json()["card"]["title"] == "Better painters")
        assert painted(client) == 55 + 50
        path.unlink()
        until(lambda: "dusk" not in styles(client))
