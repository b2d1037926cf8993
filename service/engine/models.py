"""The models of the folder: what is served, what was refused and why, and what changes while the service runs.

images = await models().generator("digits").sample(latents)
pictures = await models().stylizer(None).stylize(photos, weights, strength=1, keep_color=0)
"""

import asyncio
import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Self, TypeVar

from ganvas.card import GeneratorCard, StylizerCard
from service.engine.errors import InvalidValueError, NoModelError, NotFoundError, RefusedError
from service.engine.folder import Folder
from service.engine.handlers import Generator, Stylizer
from service.engine.sessions import LoadedModel, load_model, try_device
from service.settings import Settings, settings

logger = logging.getLogger("ganvas.engine")

M = TypeVar("M", "Generator", "Stylizer", "Generator | Stylizer")


class Models:
    """Every model of the folder, by name.

    `refused` maps the file names that are not served, or not in their newest version, to the reason.
    """

    def __init__(self, settings: Settings) -> None:
        self.generators: dict[str, Generator] = {}
        self.stylizers: dict[str, Stylizer] = {}
        self.refused: dict[str, str] = {}
        self._settings = settings
        self._folder = Folder(settings.models_folder)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Load and warm every .onnx file of the folder; a broken one is logged, noted in `refused`, and left out.

        Raises:
            DeviceError: the device asked for does not run here.
        """
        try_device(settings.device)
        models = cls(settings)
        if not settings.models_folder.is_dir():
            logger.warning("there is no folder %s: no model is served (GANVAS_MODELS)", settings.models_folder)
        for path in models._folder.files():
            models._take(path, models._opened(path))
        return models

    async def follow(self) -> None:
        """Follow the folder for good: new and changed files are loaded, warmed and swapped in, removed ones dropped.

        Whatever a request has hold of goes on to serve it; a file that cannot be served leaves the model as it was.
        """
        every_s = self._settings.models_poll_s
        said = ""  # of what went wrong: a volume that is away for an hour is one line
        while every_s:
            await asyncio.sleep(every_s)
            try:
                changed, removed = await asyncio.to_thread(self._folder.changes)
            except Exception as error:  # a network volume's, mostly; whatever it was, the next look may go well
                if str(error) != said:
                    logger.warning("the models folder cannot be looked at; what is served stays: %s", error)
                said = str(error)
                continue
            said = ""
            for path in removed:
                self._drop(path)
            for path in changed:
                try:
                    self._take(path, await asyncio.to_thread(self._opened, path))
                except Exception:  # whatever it was, the service goes on with what it has
                    logger.exception("%s could not be loaded", path.name)

    def _opened(self, path: Path) -> LoadedModel | str:
        """A model that can be served, or why it cannot."""
        try:
            return load_model(path, self._settings.device, self._settings.threads)
        except RefusedError as error:
            return str(error)
        except OSError as error:
            self._folder.again(path)
            return f"the file cannot be read: {error.strerror or type(error).__name__}"

    def _take(self, path: Path, loaded: LoadedModel | str) -> None:
        """Serve a model from now on, in place of what was served under its name; or note why not."""
        before = self._served(path.stem)
        if isinstance(loaded, str):
            reason = loaded + (f"; {before.card.name}@{before.version} stays" if before else "")
            if self.refused.get(path.name) != reason:  # a file that cannot be read is tried at every look
                logger.warning("%s is refused: %s", path.name, reason)
            self.refused[path.name] = reason
            return
        self.refused.pop(path.name, None)
        self._forget(path.stem)
        if isinstance(loaded.card, GeneratorCard):
            self.generators[path.stem] = Generator(loaded.card, loaded, self._settings)
            self.generators = dict(sorted(self.generators.items()))
        elif isinstance(loaded.card, StylizerCard):
            self.stylizers[path.stem] = Stylizer(loaded.card, loaded, self._settings)
            self.stylizers = dict(sorted(self.stylizers.items()))
        if before:
            logger.info("%s@%s has taken the place of %s", path.stem, loaded.version, before.version)

    def _drop(self, path: Path) -> None:
        self.refused.pop(path.name, None)
        if self._forget(path.stem):
            logger.info("%s is gone and no longer served", path.name)

    def _forget(self, name: str) -> Generator | Stylizer | None:
        """Serve nothing under a name; its queue ends with the last request that has hold of it."""
        before = self.generators.pop(name, None) or self.stylizers.pop(name, None)
        if before:
            before.batcher.retire()
        return before

    def _served(self, name: str) -> Generator | Stylizer | None:
        return self.generators.get(name) or self.stylizers.get(name)

    def all(self) -> list[Generator | Stylizer]:
        """Every served model, generators first, by name."""
        return [*self.generators.values(), *self.stylizers.values()]

    def get(self, name: str) -> Generator | Stylizer:
        """The model of that name.

        Raises:
            NotFoundError: there is none; it lists the known ones.
        """
        served = {model.card.name: model for model in self.all()}
        return _choose(served, name, "model")

    def generator(self, name: str | None) -> Generator:
        """The generator of that name; None will do where there is only one.

        Raises:
            NotFoundError: there is none of that name.
            InvalidValueError: no name, and there are several.
            NoModelError: no name, and there is none.
        """
        return _choose(self.generators, name, "generator")

    def stylizer(self, name: str | None) -> Stylizer:
        """The stylizer of that name; as `generator`."""
        return _choose(self.stylizers, name, "stylizer")

    def hung(self) -> str | None:
        """The name of a model whose batch has been running for longer than GANVAS_HANG_S, if there is one."""
        return next((model.card.name for model in self.all() if model.batcher.busy_s() > self._settings.hang_s), None)

    async def close(self) -> None:
        """End every model's batcher."""
        await asyncio.gather(*(model.batcher.close() for model in self.all()))


@functools.cache
def models() -> Models:
    """The models of this process, loaded at the first call; raises as `Models.load`."""
    return Models.load(settings())


def _choose(served: Mapping[str, M], name: str | None, kind: str) -> M:
    known = f"the {kind}s are {', '.join(served)}" if served else f"no {kind} is served"
    if name is None:
        if not served:
            raise NoModelError(f"No {kind} is served; put an exported one into the models folder")
        if len(served) > 1:
            raise InvalidValueError("model", f"Say which: {known}")
        return next(iter(served.values()))
    if name not in served:
        raise NotFoundError(f"There is no {kind} {name[:64]!r}: {known}")
    return served[name]
