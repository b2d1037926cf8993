"""`class` of /v1/sample and /v1/interpolate."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.engine.classes import walk_in_classes, with_classes
from service.engine.latents import first_of_each, latents_of_seed
from service.engine.sessions import load_model
from service.settings import ROOT
from tests.service.conftest import LIMITS, Problem
from tests.service.onnx_models import CLASSES, LATENT_SIZE, generated, generator_card, generator_model, save
from tests.service.running import running

K = len(CLASSES)


def array(client: httpx.Client, route: str = "sample", *, class_: object = None, **body: object) -> np.ndarray:
    response = client.post(f"/v1/{route}", json={**body, "class": class_, "format": "npy"})
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content))


def expected(latents: np.ndarray, *names: str) -> np.ndarray:
    return generated(with_classes(latents, np.array([CLASSES.index(name) for name in names]), K))


@pytest.mark.parametrize("name", CLASSES)
def test_seed_gives_images_of_the_class(client: httpx.Client, name: str) -> None:
    latents = latents_of_seed(7, 12, LATENT_SIZE)
    images = array(client, seed=7, n=12, class_=name)  # two batches
    np.testing.assert_array_equal(images, expected(latents, *[name] * 12))
    without = array(client, seed=7, n=12)
    already = latents[:, :K].argmax(axis=1) == CLASSES.index(name)
    np.testing.assert_array_equal((images == without).all(axis=(1, 2, 3)), already)
    np.testing.assert_array_equal(array(client, seed=7, class_=name), images[:1])


def test_each_image_can_have_its_own_class(client: httpx.Client) -> None:
    names = ["one", "zero", "one"]
    np.testing.assert_array_equal(array(client, seeds=[7, 8, 9], class_=names), expected(first_of_each([7, 8, 9], 6), *names))
    np.testing.assert_array_equal(array(client, seed=7, class_=names), expected(latents_of_seed(7, 3, LATENT_SIZE), *names))
    latents = latents_of_seed(3, 3, LATENT_SIZE)
    np.testing.assert_array_equal(array(client, latents=latents.tolist(), class_=names), expected(latents, *names))
    np.testing.assert_array_equal(array(client, seed=7, n=3, class_=names), array(client, seed=7, class_=names))


def test_null_equals_left_out(client: httpx.Client) -> None:
    left_out = client.post("/v1/sample", json={"seed": 7})
    assert client.post("/v1/sample", json={"seed": 7, "class": None}).content == left_out.content


@pytest.mark.parametrize("truncation", [0, 0.5])
def test_truncation_keeps_the_class(client: httpx.Client, truncation: float) -> None:
    latents = latents_of_seed(7, 2, LATENT_SIZE) * np.float32(truncation)
    images = array(client, seed=7, n=2, truncation=truncation, class_="one")
    np.testing.assert_array_equal(images, expected(latents, "one", "one"))


def test_files_are_named_after_the_class(client: httpx.Client) -> None:
    named = client.post("/v1/sample", json={"seed": 7, "n": 2, "class": "T-shirt, top", "format": "zip"})
    assert named.headers["content-disposition"] == 'attachment; filename="digits_T-shirt-top-7.zip"'
    with zipfile.ZipFile(io.BytesIO(named.content)) as zipped:
        assert zipped.namelist() == ["digits_T-shirt-top-7-000.png", "digits_T-shirt-top-7-001.png"]
    walk = client.post("/v1/interpolate", json={"seeds": [7, 8], "steps": 2, "class": "one"})
    assert walk.headers["content-disposition"] == 'inline; filename="digits_one-7-8.webp"'
    several = client.post("/v1/sample", json={"seed": 7, "class": ["one", "zero"]})
    assert several.headers["content-disposition"] == 'inline; filename="digits-7.png"'


@pytest.mark.parametrize("loop", [True, False])
@pytest.mark.parametrize(("asked", "numbers"), [("one", [1, 1, 1]), (["one", "zero", "zero"], [1, 0, 0])])
def test_walk_follows_the_classes_of_its_keys(
    client: httpx.Client, asked: str | list[str], numbers: list[int], loop: bool
) -> None:
    frames = array(client, "interpolate", seeds=[1, 2, 3], steps=8, loop=loop, class_=asked)
    latents, classes = walk_in_classes(first_of_each([1, 2, 3], LATENT_SIZE), np.array(numbers), K, 8, loop=loop)
    np.testing.assert_array_equal(frames, generated(with_classes(latents, classes, K)))
    for i, (seed, number) in enumerate(zip([1, 2, 3], numbers, strict=True)):
        np.testing.assert_array_equal(frames[8 * i], array(client, seed=seed, class_=CLASSES[number])[0])


def test_list_of_classes_gives_the_number_of_keys(client: httpx.Client) -> None:
    assert len(array(client, "interpolate", steps=4, class_=["one", "zero", "one"])) == 12


KNOWN = "this model's classes are zero, one, T-shirt, top"


@pytest.mark.parametrize(
    ("route", "body", "field", "says"),
    [
        ("sample", {"class": "seven"}, "class", f"There is no class 'seven': {KNOWN}"),
        ("sample", {"class": "One"}, "class", "There is no class 'One'"),
        ("sample", {"class": ""}, "class", "There is no class ''"),
        ("sample", {"class": "x" * 10_000}, "class", f"There is no class '{'x' * 64}'"),
        ("sample", {"class": ["one", "two"]}, "class[1]", f"There is no class 'two': {KNOWN}"),
        ("interpolate", {"class": "seven"}, "class", KNOWN),
        ("interpolate", {"class": ["one", "two"]}, "class[1]", KNOWN),
        ("sample", {"class": 7}, "class", 'Must be a name in quotes, such as "7", or a list of names'),
        ("sample", {"class": ["one", 7]}, "class", "Must be a name in quotes"),
        ("sample", {"class": {}}, "class", "Must be a name in quotes"),
        ("sample", {"class": []}, "class", f"A list must have 1 to {LIMITS['max_n']} names, not 0"),
        ("sample", {"class": ["one"] * 41}, "class", "names, not 41"),
        ("interpolate", {"class": ["one"]}, "class", "A list must have 2 to 8 names, not 1"),
        ("sample", {"class": ["one"], "n": 3}, "body", "n is 3, but the request has 1 class name; leave n out"),
        ("sample", {"class": ["one"], "seeds": [1, 2]}, "body", "class has 1 name, but the request has 2 seeds; give one name"),
        (
            "sample",
            {"class": ["one"] * 2, "latents": [[0] * 6]},
            "body",
            "class has 2 names, but the request has 1 row of latents",
        ),
        ("interpolate", {"class": ["one"] * 2, "seeds": [1, 2, 3]}, "body", "class has 2 names, but the request has 3 keys"),
        ("sample", {"class_": "one"}, "class_", "the fields are model, n, seed, seeds, latents, class, truncation, format"),
    ],
)
def test_rejects_invalid_classes(
    client: httpx.Client, problem: Problem, route: str, body: dict[str, object], field: str, says: str
) -> None:
    errors = problem(client.post(f"/v1/{route}", json=body), 422)["errors"]
    assert errors[0]["field"] == field
    assert says in errors[0]["detail"]


def test_card_lists_the_classes(client: httpx.Client) -> None:
    assert client.get("/v1/models/digits").json()["card"]["classes"] == [*CLASSES]
    assert client.get("/v1/models").json()["models"][0]["card"]["classes"] == [*CLASSES]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("several")
    for name, classes in (("clothes", ("shirt", "hat")), ("digits", ("one", "hat")), ("heads", ())):
        save(generator_model(), folder / f"{name}.onnx", generator_card(name, classes=classes))
    with running(folder, folder / "log") as service, httpx.Client(base_url=service.url) as client:
        yield client


def test_class_that_one_generator_has_finds_it(several: httpx.Client) -> None:
    for name, model in (("shirt", "clothes"), ("one", "digits")):
        response = several.post("/v1/sample", json={"class": name})
        assert response.headers["ganvas-model"].startswith(f"{model}@")


def test_class_that_no_generator_or_several_have_lists_them(several: httpx.Client, problem: Problem) -> None:
    unknown = problem(several.post("/v1/sample", json={"class": ["one", "shirt"]}), 422)["errors"][0]
    assert (unknown["field"], unknown["detail"]) == (
        "class",
        "No generator has the classes 'one', 'shirt': clothes has shirt, hat; digits has one, hat; heads has none",
    )
    both = problem(several.post("/v1/interpolate", json={"class": "hat"}), 422)["errors"][0]
    assert (both["field"], both["detail"]) == (
        "model",
        "Several generators have the class 'hat': clothes, digits. Set model to one of them",
    )


def test_generator_without_classes_says_what_it_takes(several: httpx.Client, problem: Problem) -> None:
    for route in ("sample", "interpolate"):
        error = problem(several.post(f"/v1/{route}", json={"model": "heads", "class": "one"}), 422)["errors"][0]
        assert error["field"] == "class"
        assert error["detail"].startswith("This model has no classes. It makes images from seeds or latents")
    assert several.get("/v1/models/heads").json()["card"]["classes"] == []


def test_shipped_digits_come_by_name(tmp_path: Path) -> None:
    """Each digit through HTTP, and its latents made by hand: the largest of the first ten takes the place of the digit."""
    shipped = ROOT / "exported" / "digits.onnx"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "digits.onnx").symlink_to(shipped)
    seeds = [3, 14]
    rows = []
    for digit in range(10):
        for seed in seeds:
            row = np.random.RandomState(seed).standard_normal(100).astype(np.float32)
            largest = int(np.argmax(row[:10]))
            row[digit], row[largest] = row[largest], row[digit]
            rows.append(row)
    by_hand = load_model(shipped, device="cpu", threads=1).run({"latents": np.stack(rows)})
    with running(tmp_path / "models", tmp_path / "log") as service, httpx.Client(base_url=service.url) as client:
        for digit in range(10):
            images = array(client, seeds=seeds, class_=str(digit))
            assert np.abs(images.astype(int) - by_hand[2 * digit : 2 * digit + 2]).max() <= 1  # batches may round differently
