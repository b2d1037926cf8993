import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from ganvas.card import dump_card
from service.engine.errors import DeviceError, InvalidValueError, NoModelError, NotFoundError
from service.engine.handlers.base import pad
from service.engine.handlers.generator import Generator
from service.engine.handlers.stylizer import Stylizer
from service.engine.latents import latents_of_seed
from service.engine.models import Models, Wanted
from service.engine.sessions import CPU
from service.settings import Settings
from tests.service.onnx_models import (
    LATENT_SIZE,
    generated,
    generator_card,
    generator_model,
    save,
    styled,
    stylizer_card,
    stylizer_model,
)


def load(folder: Path, **settings: object) -> Models:
    return Models.load(Settings.model_validate({"models": folder, "device": "cpu", **settings}))


@pytest.fixture
def two_of_each(tmp_path: Path) -> Path:
    for name in ("digits", "letters"):
        save(generator_model(), tmp_path / f"{name}.onnx", generator_card(name))
    for name in ("painters", "sketches"):
        save(stylizer_model(), tmp_path / f"{name}.onnx", stylizer_card(name))
    return tmp_path


def run(models: Models, test: Callable[[], Awaitable[None]]) -> None:
    async def call_and_close() -> None:
        await test()
        await models.close()

    asyncio.run(call_and_close())


def test_broken_file_is_refused_in_one_line_and_the_others_are_served(
    two_of_each: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (two_of_each / "broken.onnx").write_bytes(b"x")
    save(generator_model(), two_of_each / "other.onnx", generator_card("mnist"))
    (two_of_each / "README.md").write_text("not a model")
    (two_of_each / "folder.onnx").mkdir()
    with caplog.at_level(logging.WARNING):
        models = load(two_of_each)
    assert [model.card.name for model in models.all()] == ["digits", "letters", "painters", "sketches"]
    assert {*models.refused} == {"broken.onnx", "other.onnx", "folder.onnx"}
    assert models.refused["other.onnx"] == "its card names the model 'mnist'; rename the file to mnist.onnx"
    assert len(caplog.records) == 3
    assert all("\n" not in record.getMessage() and record.exc_info is None for record in caplog.records)


def test_broken_files_do_not_stop_the_service(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The reasons name the file and can be written as JSON and to a terminal."""
    save(generator_model(), tmp_path / "digits.onnx", generator_card())
    for name, old, new in (("nan", "{}", '{"x": NaN}'), ("text", "A test", "A \\ud800"), ("huge", ":6,", f":{10**400},")):
        card = dump_card(generator_card(name))
        assert old in card
        save(generator_model(), tmp_path / f"{name}.onnx", card.replace(old, new))
    data = save(generator_model(), tmp_path / "bytes.onnx", generator_card("bytes")).read_bytes()
    (tmp_path / "bytes.onnx").write_bytes(data.replace(b"A test", b"A \xff\xfest"))
    (tmp_path / os.fsdecode(b"b\xff\n\x1b[31m.onnx")).write_bytes(b"x")
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.onnx")
    with caplog.at_level(logging.WARNING):
        models = load(tmp_path)
    assert [model.card.name for model in models.all()] == ["digits"]
    odd = "b\\udcff\\n\\x1b[31m.onnx"
    assert {*models.refused} == {odd, *(f"{name}.onnx" for name in ("nan", "text", "huge", "bytes", "loop", "zero", "pipe"))}
    assert all(text.isprintable() for text in (*models.refused, *models.refused.values()))
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_missing_folder_serves_no_model(tmp_path: Path) -> None:
    assert load(tmp_path / "nope").all() == []


@pytest.mark.skipif(ort.get_available_providers() != ["AzureExecutionProvider", CPU], reason="this runtime has more")
@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_missing_device_is_an_error_even_without_models(device: str, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=f"GANVAS_DEVICE={device}"):
        load(tmp_path, device=device)


def test_finds_models_by_name_and_kind(two_of_each: Path) -> None:
    models = load(two_of_each)
    assert models.get("letters") is models.find(Generator, "letters")
    assert models.find(Stylizer, "sketches").card.name == "sketches"
    with pytest.raises(NotFoundError, match="the generators are digits, letters"):
        models.find(Generator, "painters")
    with pytest.raises(InvalidValueError, match=r"Several stylizers are served: painters, sketches\. Set model to one of them"):
        models.find(Stylizer, None)


def test_only_model_of_its_kind_needs_no_name(tmp_path: Path) -> None:
    save(generator_model(), tmp_path / "digits.onnx", generator_card())
    models = load(tmp_path)
    assert models.find(Generator, None).card.name == "digits"
    with pytest.raises(NoModelError, match="No stylizer"):
        models.find(Stylizer, None)


def wanted(*names: str) -> Wanted[Stylizer]:
    return Wanted("style", names, Stylizer.style_names)


@pytest.fixture
def three_stylizers(tmp_path: Path) -> Path:
    for name, styles in (("a", ("night", "wave")), ("b", ("wave", "scream")), ("c", ("wave", "dream"))):
        save(stylizer_model(styles=2), tmp_path / f"{name}.onnx", stylizer_card(name, styles))
    return tmp_path


def test_style_that_one_model_has_finds_it(three_stylizers: Path) -> None:
    models = load(three_stylizers)
    assert models.find(Stylizer, None, wanted("night")).card.name == "a"
    assert models.find(Stylizer, None, wanted("scream", "wave")).card.name == "b"
    assert models.find(Stylizer, "c", wanted("night")).card.name == "c"  # a given name is never replaced
    for names, message in (
        (("wave",), r"Several stylizers have the style 'wave': a, b, c\. Set model to one of them"),
        ((), r"Several stylizers are served: a, b, c\. Set model to one of them"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            models.find(Stylizer, None, wanted(*names))
    with pytest.raises(NotFoundError, match="No stylizer has the styles 'night', 'dream': a has night, wave; b has"):
        models.find(Stylizer, None, wanted("night", "dream"))


def test_default_is_taken_if_several_models_are_possible(three_stylizers: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        models = load(three_stylizers, default_models="digits, b,c")
    assert "GANVAS_DEFAULT_MODELS names digits, which is not served" in caplog.text
    assert caplog.text.count("GANVAS_DEFAULT_MODELS") == 1
    assert models.find(Stylizer, None).card.name == "b"
    assert models.find(Stylizer, None, wanted("wave")).card.name == "b"
    assert models.find(Stylizer, None, wanted("night")).card.name == "a"
    assert models.find(Stylizer, None, wanted("dream", "wave")).card.name == "c"


@pytest.mark.parametrize("n", [1, 7, 8, 9, 50])
def test_samples_run_in_batches_of_the_limit(two_of_each: Path, n: int) -> None:
    models = load(two_of_each, max_batch_rows=8)

    async def test() -> None:
        latents = latents_of_seed(3, n, LATENT_SIZE)
        generator = models.find(Generator, "digits")
        with generator.reserve(n) as reservation:
            np.testing.assert_array_equal(await generator.sample(reservation, latents), generated(latents))

    run(models, test)


def test_requests_of_many_sizes_styles_and_strengths_do_not_mix(two_of_each: Path) -> None:
    models = load(two_of_each, max_batch_wait_ms=50)
    random = np.random.default_rng(0)

    async def one(i: int) -> None:
        images = [random.integers(0, 256, (5 + i % 4 * 7, 30, 3), np.uint8) for _ in range(i % 3 + 1)]
        weights = random.dirichlet(np.ones(3)).astype(np.float32)
        strength, keep_color = random.random(2)
        stylizer = models.find(Stylizer, "painters")
        with stylizer.reserve([image.shape[:2] for image in images], 1) as reservation:
            prepared = [stylizer.prepare(image, 1) for image in images]
            results = await stylizer.paint(reservation, prepared, weights, strength, keep_color)
        for image, result in zip(images, [painted.finish() for painted in results], strict=True):
            expected = styled(image, weights, strength, keep_color).astype(int)
            assert np.abs(result - expected).max() <= 1  # float32 sums depend on their order

    async def test() -> None:
        await asyncio.gather(*(one(i) for i in range(40)))

    run(models, test)


@pytest.mark.parametrize(
    ("size", "padded"), [((16, 16), (16, 16)), ((17, 20), (20, 20)), ((1, 1), (16, 16)), ((5, 99), (16, 100))]
)
def test_pad_reflects_to_the_given_size(size: tuple[int, int], padded: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    card = stylizer_card()  # multiples of 4, at least 16
    grown = pad(image, card.height.fit(size[0]), card.width.fit(size[1]))
    assert grown.shape == (*padded, 3)
    np.testing.assert_array_equal(grown[: size[0], : size[1]], image)
    if size == (17, 20):
        np.testing.assert_array_equal(grown[17:, :], image[15:12:-1])
