"""The service's settings. Each is an environment variable: `GANVAS_` and the field's name in capitals.

    GANVAS_DEVICE=cuda GANVAS_MAX_SIDE=2048 python -m service

An invalid value ends the process with one line on stderr and exit code 2.
"""

import difflib
import functools
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ganvas.api import KEYS, STEPS
from ganvas.card import Name
from ganvas.cpus import available_cpus

ROOT = Path(__file__).resolve().parent.parent
"""The repository's root, or a bento's: the folder that holds `service/` and `exported/`."""

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
Count = Annotated[int, Field(ge=1)]

_ORIGIN = re.compile(r"null|[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+")
_ALIKE = 0.85  # 1 for equal names; GANVAS_API_KEYS is 0.857 from GANVAS_API_KEYS_FILE, the client's GANVAS_API_KEY 0.824


def _parts(text: object) -> object:
    """The parts of a list that is separated by commas."""
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _origin(text: str) -> str:
    if text != "*" and not _ORIGIN.fullmatch(text):
        raise ValueError("an origin is like https://example.com or http://localhost:8080, without a path and a / at its end")
    return text.lower()  # as browsers send it


Names = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_parts)]
Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_parts)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], NoDecode, BeforeValidator(_parts)]


class Settings(BaseSettings):
    """What an operator can configure. The OpenAPI document shows the bounds that apply to requests."""

    model_config = SettingsConfigDict(env_prefix="GANVAS_", frozen=True)

    models: Path = Field(
        default=Path("exported"), description="Folder of exported models. A relative path starts at the repository's root."
    )
    device: Device = Field(default="auto", description="auto takes CUDA if a session really runs on it, otherwise the CPU.")
    threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Threads of one model on the CPU. 0: one per CPU of the process (affinity and quota).",
    )
    codec_threads: Count = Field(
        default_factory=lambda: min(available_cpus(), 256),
        le=256,
        description="Threads that decode images, for all models together. The same number of threads encodes images.",
    )

    max_body_mb: Count = Field(default=32, description="Largest request body, in MiB.")
    max_pixels: Count = Field(
        default=50_000_000,
        description="Most pixels of one uploaded image. The number is read from the file's header before decoding.",
    )
    max_images: Count = Field(default=16, le=256, description="Most images in one stylize request.")
    max_n: Count = Field(default=64, description="Most images in one sample request.")
    max_frames: int = Field(
        default=480,
        ge=KEYS.default * STEPS.default,  # what an empty request asks for
        description="Most frames in one interpolate request. All of them are in memory together.",
    )
    max_side: Count = Field(default=2048, description="Largest max_side that a request may ask for, in pixels.")
    default_side: Count = Field(default=1024, description="max_side of a request that does not set it, in pixels.")

    max_batch_rows: Count = Field(default=32, description="Most rows in one batch of a generator. One row makes one image.")
    max_batch_pixels: Count = Field(
        default=2**20, description="Most pixels in one batch of a stylizer. A larger image runs in a batch of its own."
    )
    max_batch_ms: float = Field(
        default=250,
        gt=0,
        description="Longest expected run time of a batch, in milliseconds, estimated from earlier batches. A job that is "
        "expected to take longer runs in a batch of its own.",
    )
    max_batch_wait_ms: float = Field(
        default=2,
        ge=0,
        le=1000,
        description="Longest time, in milliseconds, that an idle device waits for a batch as large as the previous one. After "
        "a batch with a single job, it does not wait.",
    )
    max_queue_rows: Count = Field(
        default=384,
        description="Most rows that wait for one generator. Further requests are rejected with 429. Callers share this limit.",
    )
    max_queue_pixels: Count = Field(
        default=2**25,
        description="Most pixels that wait for one stylizer. Further requests are rejected with 429. Callers share this limit.",
    )
    max_queue_wait_s: float = Field(
        default=1,
        gt=0,
        le=3600,
        description="Longest time, in seconds, that a request waits for the device. If the expected wait exceeds 85% of this "
        "limit, the request is rejected with 429. A request is always accepted if only what is on the device runs before it.",
    )
    max_image_memory_mb: Count = Field(
        default=1280,
        description="Most MiB that the images of all requests take while they are decoded, painted, made and encoded. Further "
        "requests are rejected with 429. A request that needs more by itself is rejected with 413. Callers share this limit.",
    )
    max_uploads_mb: Count = Field(
        default=512,
        description="Most MiB of request bodies and unread responses in memory. Further requests are rejected with 429. "
        "Callers share this limit.",
    )
    timeout_s: float = Field(
        default=60, gt=0, le=3600, description="Longest time, in seconds, from the head of a request to its response."
    )
    send_timeout_s: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="Longest time, in seconds, in which a client reads nothing of its response. Then it is disconnected. "
        "Only on Linux.",
    )

    drain_s: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Longest time, in seconds, from SIGTERM until all responses are sent. Then the remaining "
        "connections are closed.",
    )
    hang_s: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Longest time, in seconds, for one batch, and for one image or response in a thread that decodes or "
        "encodes. After it, /livez and /readyz fail.",
    )
    load_timeout_s: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Longest time, in seconds, in which a model must load and run once. Otherwise its file is refused.",
    )
    max_model_mb: int = Field(default=2048, ge=1, le=2048, description="Largest file of a model, in MiB.")
    default_models: Names = Field(
        default=(),
        description="Names of models, separated by commas. If a request names no model and several could serve it, it gets the "
        "first of these that can.",
    )
    models_poll_s: float = Field(
        default=2, ge=0, le=3600, description="Seconds between two looks for changes in the models folder. 0 never looks."
    )

    api_keys_file: Path | None = Field(
        default=None,
        description="File with one API key per line. If set, /v1 and /v2 need a key. The file may change while the service "
        "runs.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of proxies in front of the service, separated by commas, such as 10.0.0.0/8. A "
        "request that comes from one of them belongs to the caller in its X-Forwarded-For.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Origins whose pages may call the service, separated by commas, or * for all. If empty, only the "
        "service's own pages may.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto writes text to a terminal, and otherwise one JSON object per line."
    )
    access_log: bool = Field(default=False, description="Whether to log every request. If not, only failures are logged.")

    @model_validator(mode="after")
    def _check_sides(self) -> Self:
        if self.default_side > self.max_side:
            sides = f"GANVAS_DEFAULT_SIDE ({self.default_side}) is larger than GANVAS_MAX_SIDE ({self.max_side})"
            raise ValueError(f"{sides}; lower GANVAS_DEFAULT_SIDE")
        return self

    @property
    def models_folder(self) -> Path:
        """`models` as an absolute path."""
        return ROOT / self.models.expanduser()


@functools.cache
def settings() -> Settings:
    """Return the settings of this process, read at the first call.

    Raises:
        SystemExit: a variable has an invalid value. stderr names the variable, its value and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            place = "GANVAS_" + str(problem["loc"][0]).upper() + ": " if problem["loc"] else ""
            given = f" (it is {problem['input']!r})" if place else ""
            sys.stderr.write(f"ganvas: {place}{problem['msg'].removeprefix('Value error, ')}{given}\n")
        raise SystemExit(2) from None


def misspelt() -> dict[str, str]:
    """Return the variables of the environment that no setting reads, but whose names are nearly those of a setting.

    Other variables may start with GANVAS_ too: those of the client, and those that Kubernetes sets for a Service `ganvas`.

    Returns:
        Name of the variable -> the setting with the most similar name.
    """
    known = [f"GANVAS_{name.upper()}" for name in Settings.model_fields]
    unknown = (name for name in sorted(os.environ) if name.upper().startswith("GANVAS_") and name.upper() not in known)
    alike = ((name, difflib.get_close_matches(name.upper(), known, n=1, cutoff=_ALIKE)) for name in unknown)
    return {name: matches[0] for name, matches in alike if matches}


def table() -> str:
    """Return the table of docs/operations.md in Markdown, one row per setting. `python -m service.settings` prints it."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = (
            "one per CPU" if name == "codec_threads" else str(field.default if field.default not in (None, "", ()) else "")
        )
        rows.append(f"| `GANVAS_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
