"""The models of the folder: which are served, which files were refused and why, and what changes while the service runs.

generator = models().find(Generator, "digits")
with generator.reserve(len(latents)) as reservation:
    images = await generator.sample(reservation, latents)
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Self, TypeVar

from service.engine.errors import (
    DeviceError,
    InvalidValueError,
    NoModelError,
    NotFoundError,
    OtherKindError,
    RefusedError,
    RequestError,
    UnreadableError,
)
from service.engine.folder import Folder, is_style_file, version_of
from service.engine.handlers.base import Handler
from service.engine.handlers.registry import HANDLERS, handler_of
from service.engine.model_file import read, size_limit
from service.engine.sessions import LoadedModel, open_model, try_device
from service.engine.style_files import StyleFiles
from service.engine.trial import Trial, Verdict
from service.settings import Settings, settings

logger = logging.getLogger("ganvas.engine")

MAX_REASON = 1000  # characters; onnxruntime's sentences are shorter, but a file can have names of any length

H = TypeVar("H", bound=Handler)


@dataclass(frozen=True)
class Wanted(Generic[H]):
    """Names that a model must have to serve a request, such as names of styles.

    Attributes:
        noun: what the names are, in the singular.
        names: all of them are needed.
        of: the names that a model has.
        unknown: makes the error if no model has the names, from its message.
    """

    noun: str
    names: Sequence[str]
    of: Callable[[H], Sequence[str]]
    unknown: Callable[[str], RequestError] = NotFoundError

    def __str__(self) -> str:
        quoted = ", ".join(repr(name[:64]) for name in self.names)
        plural = f"{self.noun}es" if self.noun.endswith("s") else f"{self.noun}s"
        return f"the {self.noun if len(self.names) == 1 else plural} {quoted}"


class Models:
    """Every model of the folder, by name.

    Attributes:
        refused: reasons by printable name of file, for files that are not served, or not in their newest version.
    """

    def __init__(self, settings: Settings) -> None:
        self.refused: dict[str, str] = {}
        self._styles = StyleFiles()
        self._served: dict[str, Handler] = {}
        self._settings = settings
        self._folder = Folder(settings.models_folder)
        self._max_bytes = size_limit(settings.max_model_mb)
        self._trial = Trial(self._max_bytes, settings.load_timeout_s)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Try, load and warm up every .onnx file of the folder. A broken file is logged, noted in `refused` and left out.

        Raises:
            DeviceError: the requested device does not work.
        """
        try_device(settings.device)
        models = cls(settings)
        if not settings.models_folder.is_dir():
            logger.warning("The models folder %s does not exist: no model is served (GANVAS_MODELS).", settings.models_folder)
        files = models._folder.files()
        for path, verdict in models._trial.each([path for path in files if not is_style_file(path)]):
            models._take(path, models._load(path, verdict))
        models._read_styles(files, [])
        models._give_styles()
        for name in settings.default_models:
            if name not in models._served:
                logger.warning("GANVAS_DEFAULT_MODELS names %s, which is not served. It is the default as soon as it is.", name)
        return models

    async def follow(self) -> None:
        """Follow the folder until cancelled: try, load and swap in new and changed files, drop removed ones.

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
                if is_style_file(path):
                    continue
                try:
                    self._take(path, await asyncio.to_thread(self._try_and_load, path))
                except Exception:  # the service continues with the models that it has
                    logger.exception("Failed to load %s.", path.name)
            if changed or removed:
                try:
                    await asyncio.to_thread(self._read_styles, changed, removed)
                    self._give_styles()
                except Exception:  # as above
                    logger.exception("Failed to load the styles.")

    def _try_and_load(self, path: Path) -> LoadedModel | str:
        return next((self._load(path, verdict) for _, verdict in self._trial.each([path])), "the service is shutting down")

    def _load(self, path: Path, verdict: Verdict) -> LoadedModel | str:
        """Load a model that passed its trial, or say why it is refused."""
        try:
            if isinstance(verdict, RefusedError):
                raise verdict
            data = read(path, self._max_bytes)
            if version_of(data) != verdict:
                raise UnreadableError("the file changed after its trial")
            return open_model(path.stem, data, self._settings.device, self._settings.threads)
        except DeviceError:
            raise
        except UnreadableError as error:
            self._folder.retry(path)
            return str(error)
        except RefusedError as error:
            return str(error)
        except Exception as error:  # an error in one file must not stop the others
            return f"it cannot be loaded: {type(error).__name__}: {error}"

    def _take(self, path: Path, loaded: LoadedModel | str) -> None:
        """Serve a loaded model in place of the one that had its name; or note why it is refused."""
        before = self._served.get(path.stem)
        if isinstance(loaded, str):
            stays = f"; {before.card.name}@{before.version} stays" if before else ""
            self._note(path, printable(loaded[:MAX_REASON]) + stays)
            return
        self._note(path, None)
        self._retire(path.stem)
        self._served[path.stem] = handler_of(loaded, self._settings)
        if before:
            logger.info("%s@%s replaced %s.", path.stem, loaded.version, before.version)

    def _note(self, path: Path, reason: str | None) -> None:
        """Note why a file is refused, or that it no longer is."""
        file = printable(path.name)
        if reason is None:
            self.refused.pop(file, None)
            return
        if self.refused.get(file) != reason:  # an unreadable file is tried at every look
            logger.warning("%s is refused: %s", file, reason)
        self.refused[file] = reason

    def _read_styles(self, changed: Sequence[Path], removed: Sequence[Path]) -> None:
        for path in self._styles.update(*(list(filter(is_style_file, paths)) for paths in (changed, removed))):
            self._folder.retry(path)

    def _give_styles(self) -> None:
        """Give every model the styles of the folder that fit it, and note which fit none."""
        taken = {name for model in self._served.values() for name in model.take_styles(self._styles.fitting)}
        for path, reason in self._styles.verdicts(taken).items():
            self._note(path, None if reason is None else printable(reason[:MAX_REASON]))

    def _drop(self, path: Path) -> None:
        file = printable(path.name)
        self.refused.pop(file, None)
        if self._retire(path.stem):
            logger.info("%s was removed and is no longer served.", file)

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
        return _named({model.card.name: model for model in self.all()}, name, "model")

    def find(self, kind: type[H], name: str | None, wanted: Wanted[H] | None = None) -> H:
        """The model of that kind and name.

        Without a name: the only model of the kind, or the only one that has the wanted names, or otherwise the first of
        GANVAS_DEFAULT_MODELS that has them.

        Raises:
            NotFoundError: no model of this kind has this name; the message lists the known ones.
            RequestError: no model of this kind has the wanted names (see `Wanted.unknown`); the message lists the known ones.
            InvalidValueError: no name was given, and several models of this kind could be meant; the message lists them.
            NoModelError: no name was given, and no model of this kind is served.
        """
        served = [model for model in self.all() if isinstance(model, kind)]
        if name is not None:
            found = {model.card.name: model for model in served}
            if name not in found and (other := self._served.get(name)) is not None:
                known = f"the {kind.kind}s are {', '.join(found)}" if found else f"no {kind.kind} is served"
                raise OtherKindError(f"{name} is a {other.kind}, not a {kind.kind}: {known}.", other.kind)
            return _named(found, name, kind.kind)
        if not served:
            raise NoModelError(f"No {kind.kind} is served. Put an exported {kind.kind} into the models folder.")
        if len(served) == 1:
            return served[0]
        fitting = [model for model in served if not wanted or set(wanted.names) <= set(wanted.of(model))]
        if len(fitting) == 1:
            return fitting[0]
        if wanted and not fitting:
            known = "; ".join(f"{model.card.name} has {', '.join(wanted.of(model)) or 'none'}" for model in served)
            raise wanted.unknown(f"No {kind.kind} has {wanted}: {known}.")
        for default in self._settings.default_models:
            for model in fitting:
                if model.card.name == default:
                    return model
        trait = f"have {wanted}" if wanted and wanted.names else "are served"
        names = ", ".join(model.card.name for model in fitting)
        raise InvalidValueError("model", f"Several {kind.kind}s {trait}: {names}. Set model to one of them")

    def defaults(self) -> list[str]:
        """Those of GANVAS_DEFAULT_MODELS that are served, in its order."""
        served = {model.card.name for model in self.all()}
        return [name for name in self._settings.default_models if name in served]

    def hung(self) -> str | None:
        """The name of a model whose batch has been running for longer than GANVAS_HANG_S, if there is one."""
        return next((model.card.name for model in self.all() if model.batcher.busy_s() > self._settings.hang_s), None)

    async def close(self) -> None:
        """End a trial that is running, and close every model's batcher."""
        self._trial.close()
        await asyncio.gather(*(model.batcher.close() for model in self.all()))


@functools.cache
def models() -> Models:
    """The models of this process, loaded at the first call; raises as `Models.load`."""
    return Models.load(settings())


def printable(text: str) -> str:
    """A name or a message that comes from a file, for logs and JSON: what is not printable is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _named(served: Mapping[str, H], name: str, kind: str) -> H:
    if name not in served:
        known = f"the {kind}s are {', '.join(served)}" if served else f"no {kind} is served"
        raise NotFoundError(f"There is no {kind} {name[:64]!r}: {known}.")
    return served[name]
