"""The models of the folder: which are served, which files were refused and why, and what changes while the service runs.

generator = models().find(Generator, "digits")
with generator.reserve(len(latents)) as reservation:
    images = await generator.sample(reservation, latents)
"""

import asyncio
import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Self, TypeVar

from service.engine.errors import InvalidValueError, NoModelError, NotFoundError, RefusedError
from service.engine.folder import Folder
from service.engine.handlers.base import Handler
from service.engine.handlers.registry import HANDLERS, handler_of
from service.engine.sessions import LoadedModel, load_model, try_device
from service.settings import Settings, settings

logger = logging.getLogger("ganvas.engine")

H = TypeVar("H", bound=Handler)


class Models:
    """Every model of the folder, by name.

    Attributes:
        refused: reasons by name of file, for files that are not served, or not in their newest version.
    """

    def __init__(self, settings: Settings) -> None:
        self.refused: dict[str, str] = {}
        self._served: dict[str, Handler] = {}
        self._settings = settings
        self._folder = Folder(settings.models_folder)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Load and warm up every .onnx file of the folder. A broken file is logged, noted in `refused` and left out.

        Raises:
            DeviceError: the requested device does not work.
        """
        try_device(settings.device)
        models = cls(settings)
        if not settings.models_folder.is_dir():
            logger.warning("The models folder %s does not exist: no model is served (GANVAS_MODELS).", settings.models_folder)
        for path in models._folder.files():
            models._take(path, models._load(path))
        return models

    async def follow(self) -> None:
        """Follow the folder until cancelled: load, warm up and swap in new and changed files, drop removed ones.

        Requests that use a replaced model are still served by it. A file that cannot be served leaves the old model in place.
        """
        poll_s = self._settings.models_poll_s
        last_error = ""  # a volume that is missing for an hour is logged once
        while poll_s:
            await asyncio.sleep(poll_s)
            try:
                changed, removed = await asyncio.to_thread(self._folder.changes)
            except Exception as error:  # mostly of a network volume; the next look may succeed
                if str(error) != last_error:
                    logger.warning("The models folder cannot be read; the served models stay: %s", error)
                last_error = str(error)
                continue
            last_error = ""
            for path in removed:
                self._drop(path)
            for path in changed:
                try:
                    self._take(path, await asyncio.to_thread(self._load, path))
                except Exception:  # the service continues with the models that it has
                    logger.exception("Failed to load %s.", path.name)

    def _load(self, path: Path) -> LoadedModel | str:
        """Load a model, or say why it is refused."""
        try:
            return load_model(path, self._settings.device, self._settings.threads)
        except RefusedError as error:
            return str(error)
        except OSError as error:
            self._folder.retry(path)
            return f"the file cannot be read: {error.strerror or type(error).__name__}"

    def _take(self, path: Path, loaded: LoadedModel | str) -> None:
        """Serve a loaded model in place of the one that had its name; or note why it is refused."""
        before = self._served.get(path.stem)
        if isinstance(loaded, str):
            reason = loaded + (f"; {before.card.name}@{before.version} stays" if before else "")
            if self.refused.get(path.name) != reason:  # an unreadable file is tried at every look
                logger.warning("%s is refused: %s", path.name, reason)
            self.refused[path.name] = reason
            return
        self.refused.pop(path.name, None)
        self._retire(path.stem)
        self._served[path.stem] = handler_of(loaded, self._settings)
        if before:
            logger.info("%s@%s replaced %s.", path.stem, loaded.version, before.version)

    def _drop(self, path: Path) -> None:
        self.refused.pop(path.name, None)
        if self._retire(path.stem):
            logger.info("%s was removed and is no longer served.", path.name)

    def _retire(self, name: str) -> bool:
        """Serve nothing under a name. The model's queue ends with the last request that uses it."""
        before = self._served.pop(name, None)
        if before:
            before.batcher.retire()
        return before is not None

    def all(self) -> list[Handler]:
        """Every served model, in the order of kinds and then by name."""
        kinds = list(HANDLERS.values())
        return sorted(self._served.values(), key=lambda model: (kinds.index(type(model)), model.card.name))

    def get(self, name: str) -> Handler:
        """The model of that name.

        Raises:
            NotFoundError: no model has this name; the message lists the known ones.
        """
        return _choose({model.card.name: model for model in self.all()}, name, "model")

    def find(self, kind: type[H], name: str | None) -> H:
        """The model of that kind and name. The name may be None if only one model of the kind is served.

        Raises:
            NotFoundError: no model of this kind has this name; the message lists the known ones.
            InvalidValueError: no name was given, and several models of this kind are served.
            NoModelError: no name was given, and no model of this kind is served.
        """
        return _choose({model.card.name: model for model in self.all() if isinstance(model, kind)}, name, kind.kind)

    def hung(self) -> str | None:
        """The name of a model whose batch has been running for longer than GANVAS_HANG_S, if there is one."""
        return next((model.card.name for model in self.all() if model.batcher.busy_s() > self._settings.hang_s), None)

    async def close(self) -> None:
        """Close every model's batcher."""
        await asyncio.gather(*(model.batcher.close() for model in self.all()))


@functools.cache
def models() -> Models:
    """The models of this process, loaded at the first call; raises as `Models.load`."""
    return Models.load(settings())


def _choose(served: Mapping[str, H], name: str | None, kind: str) -> H:
    known = f"the {kind}s are {', '.join(served)}" if served else f"no {kind} is served"
    if name is None:
        if not served:
            raise NoModelError(f"No {kind} is served. Put an exported {kind} into the models folder.")
        if len(served) > 1:
            raise InvalidValueError("model", f"Choose one: {known}")
        return next(iter(served.values()))
    if name not in served:
        raise NotFoundError(f"There is no {kind} {name[:64]!r}: {known}.")
    return served[name]
