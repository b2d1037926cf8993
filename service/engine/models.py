"""The models of the folder: what is served, what was refused and why, and how each kind makes its pictures.

images = await models().generator("digits").sample(latents)
pictures = await models().stylizer(None).stylize(photos, weights, strength=1, keep_color=0)
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from ganvas.card import GeneratorCard, StylizerCard
from service.engine.batcher import Array, Batcher, Job
from service.engine.sessions import LoadedModel, RefusedError, load_model
from service.problems import Invalid, NotFound, Unavailable
from service.settings import Settings, settings

logger = logging.getLogger("ganvas.engine")

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
M = TypeVar("M", "Generator", "Stylizer", "Generator | Stylizer")


class Generator:
    """A served generator: latents to pictures."""

    def __init__(self, card: GeneratorCard, model: LoadedModel, settings: Settings) -> None:
        self.card = card
        self.version = model.version
        bounds = {"max_batch": settings.max_batch, "max_queue": settings.max_queue}
        self.batcher = Batcher(card.name, model.run, **bounds, max_wait_s=settings.max_wait_ms / 1000)

    async def sample(self, latents: Floats) -> Pixels:
        """Make one picture a row: float32 [n, latent_size] to uint8 [n, h, w, c]. More than a batch runs in parts."""
        step = self.batcher.max_batch
        parts = [latents[i : i + step] for i in range(0, len(latents), step)]
        return np.concatenate(await self.batcher.submit([Job({"latents": part}) for part in parts]))

    async def walk(self, latents: Floats) -> Pixels:
        """Make many pictures as `sample` does, but one batch after the other: whoever comes meanwhile goes between.

        It holds one batch's place in the queue at a time, and keeps it to the end: a walk that began is not refused.
        """
        step = self.batcher.max_batch
        made = []
        for i in range(0, len(latents), step):
            made += await self.batcher.submit([Job({"latents": latents[i : i + step]})], admitted=i > 0)
        return np.concatenate(made)


class Stylizer:
    """A served style network: pictures to the same pictures in its styles."""

    def __init__(self, card: StylizerCard, model: LoadedModel, settings: Settings) -> None:
        self.card = card
        self.version = model.version
        bounds = {"max_batch": settings.max_batch_pixels, "max_queue": settings.max_queue_pixels}
        self.batcher = Batcher(card.name, model.run, **bounds, max_wait_s=settings.max_wait_ms / 1000)

    async def stylize(self, pictures: Sequence[Pixels], styles: Floats, strength: float, keep_color: float) -> list[Pixels]:
        """Restyle pictures of any sizes.

        Args:
            pictures: uint8 [h, w, 3] each.
            styles: float32 [k], the weights of the card's styles, sum 1.
            strength: 0, the picture as it is, to 1.
            keep_color: 0 to 1, the colours of the picture.

        Returns:
            uint8 [h, w, 3] each, of the sizes given.
        """
        jobs = []
        for picture in pictures:
            padded = pad(picture, self.card.size_multiple, self.card.min_side)
            feeds: dict[str, Array] = {
                "images": padded[None],
                "styles": styles[None],
                "strength": np.array([strength], np.float32),
                "keep_color": np.array([keep_color], np.float32),
            }
            jobs.append(Job(feeds, row_cost=padded.shape[0] * padded.shape[1]))
        results = await self.batcher.submit(jobs)
        return [result[0, : p.shape[0], : p.shape[1]] for p, result in zip(pictures, results, strict=True)]


def pad(picture: Pixels, multiple: int, min_side: int) -> Pixels:
    """Grow a picture [h, w, c] at its right and lower edge, mirrored, to sides that a stylizer takes."""
    height, width = (-(-max(side, min_side) // multiple) * multiple for side in picture.shape[:2])
    return np.pad(picture, ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)), "reflect")


class Models:
    """Every model of the folder, by name.

    `refused` maps the file names that are not served to the reason.
    """

    def __init__(self) -> None:
        self.generators: dict[str, Generator] = {}
        self.stylizers: dict[str, Stylizer] = {}
        self.refused: dict[str, str] = {}

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Load and warm every .onnx file of the folder; a broken one is logged, noted in `refused`, and left out.

        Raises:
            DeviceError: the device asked for does not run here.
        """
        models = cls()
        folder = settings.models_folder
        if not folder.is_dir():
            logger.warning("there is no folder %s: no model is served (GANVAS_MODELS)", folder)
        for path in sorted(folder.glob("*.onnx")):
            try:
                loaded = load_model(path, settings.device, settings.threads)
            except (RefusedError, OSError) as error:
                logger.warning("%s is refused: %s", path.name, error)
                models.refused[path.name] = str(error) if isinstance(error, RefusedError) else "the file cannot be read"
                continue
            if isinstance(loaded.card, GeneratorCard):
                models.generators[path.stem] = Generator(loaded.card, loaded, settings)
            else:
                models.stylizers[path.stem] = Stylizer(loaded.card, loaded, settings)
        return models

    def all(self) -> list[Generator | Stylizer]:
        """Every served model, generators first, by name."""
        return [*self.generators.values(), *self.stylizers.values()]

    def get(self, name: str) -> Generator | Stylizer:
        """The model of that name.

        Raises:
            NotFound: there is none; it lists the known ones.
        """
        served = {model.card.name: model for model in self.all()}
        return _choose(served, name, "model")

    def generator(self, name: str | None) -> Generator:
        """The generator of that name; None will do where there is only one.

        Raises:
            NotFound: there is none of that name.
            Invalid: no name, and there are several.
            Unavailable: no name, and there is none.
        """
        return _choose(self.generators, name, "generator")

    def stylizer(self, name: str | None) -> Stylizer:
        """The stylizer of that name; as `generator`."""
        return _choose(self.stylizers, name, "stylizer")

    async def close(self) -> None:
        """End every model's batcher."""
        for model in self.all():
            await model.batcher.close()


@functools.cache
def models() -> Models:
    """The models of this process, loaded at the first call; raises as `Models.load`."""
    return Models.load(settings())


def _choose(served: Mapping[str, M], name: str | None, kind: str) -> M:
    known = f"the {kind}s are {', '.join(served)}" if served else f"no {kind} is served"
    if name is None:
        if not served:
            raise Unavailable(f"No {kind} is served; put an exported one into the models folder and start again")
        if len(served) > 1:
            raise Invalid([("model", f"Say which: {known}")])
        return next(iter(served.values()))
    if name not in served:
        raise NotFound(f"There is no {kind} {name[:64]!r}: {known}")
    return served[name]
