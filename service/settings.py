"""The service's settings: one environment variable each, named `GANVAS_` and the field's name in capitals.

    GANVAS_DEVICE=cuda GANVAS_MAX_SIDE=2048 python -m service

A value that cannot be used ends the process with one line on stderr and exit code 2.
"""

import functools
import os
import sys
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ganvas.api import KEYS, STEPS

ROOT = Path(__file__).resolve().parent.parent
"""The repository's root, or a bento's: the folder that holds `service/` and `exported/`."""

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """What an operator may choose. Bounds that a request meets are shown in the OpenAPI document."""

    model_config = SettingsConfigDict(env_prefix="GANVAS_", frozen=True)

    models: Path = Field(default=Path("exported"), description="Folder of exported models; relative to the repository.")
    device: Device = Field(default="auto", description="auto takes CUDA where a session really runs on it, else the CPU.")
    threads: int = Field(default=0, ge=0, le=256, description="Threads of one model on the CPU; 0: one a core.")
    codec_threads: Count = Field(
        default=os.cpu_count() or 1, le=256, description="Threads that decode and encode pictures, for all models together."
    )

    max_body_mb: Count = Field(default=32, description="Largest request body, in MiB.")
    max_pixels: Count = Field(
        default=50_000_000, description="Most pixels of one uploaded picture, read from its header before it is decoded."
    )
    max_images: Count = Field(default=16, le=256, description="Most pictures in one stylize request.")
    max_n: Count = Field(default=64, description="Most samples in one request.")
    max_frames: int = Field(
        default=480,
        ge=KEYS.default * STEPS.default,  # what an empty request asks for
        description="Most frames in one interpolate request; they are in memory together.",
    )
    max_side: Count = Field(default=2048, description="Largest max_side that a request may ask for, in pixels.")
    default_side: Count = Field(default=1024, description="max_side of a request that leaves it out, in pixels.")

    max_batch: Count = Field(default=32, description="Most rows of a generator that run at a time.")
    max_batch_pixels: Count = Field(
        default=2**20, description="Most pixels of a stylizer that run at a time; a larger picture runs alone."
    )
    max_batch_ms: float = Field(
        default=250,
        gt=0,
        description="Longest time, in milliseconds, that a batch is expected to run, by what batches took so far; what "
        "takes longer alone runs alone.",
    )
    max_wait_ms: float = Field(
        default=2,
        ge=0,
        le=1000,
        description="Longest time, in milliseconds, that an idle device waits for a batch as large as "
        "the one before; after a job that ran alone it does not wait.",
    )
    max_queue: Count = Field(default=256, description="Most rows that wait for one generator; more are answered 429.")
    max_queue_pixels: Count = Field(default=2**25, description="Most pixels that wait for one stylizer; more are answered 429.")
    max_queue_s: float = Field(
        default=1, gt=0, le=3600, description="Longest time, in seconds, that a request waits for the device: where more than "
        "85% of it are expected, by what batches took so far, it is answered 429. A single one may always wait.",
    )  # fmt: skip
    max_decode_pixels: Count = Field(
        default=500_000_000,
        description="Most pixels of uploads, by their headers, that are decoded or wait for it, for all models together; more "
        "are answered 429. A single request may always.",
    )
    max_uploads_mb: Count = Field(
        default=512,
        description="Most MiB of request bodies, and of answers that callers have not read, in hand at a time; more are "
        "answered 429.",
    )
    timeout_s: float = Field(
        default=60, gt=0, le=3600, description="Longest time, in seconds, from a request's head to its answer."
    )
    send_timeout_s: float = Field(
        default=30, gt=0, le=3600, description="Longest time, in seconds, that a caller may take nothing of its answer; at the "
        "latest after twice that it is cut off.",
    )  # fmt: skip

    drain_s: float = Field(
        default=60, gt=0, le=3600, description="Longest time, in seconds, from SIGTERM until the answers to the accepted "
        "requests are sent; what is not by then is cut off.",
    )  # fmt: skip
    hang_s: float = Field(
        default=60, gt=0, le=3600, description="A batch that runs longer than this, in seconds, hangs: /livez and /readyz fail."
    )
    models_poll_s: float = Field(
        default=2, ge=0, le=3600, description="How often, in seconds, the models folder is looked at for changes; 0: never."
    )

    api_keys_file: Path | None = Field(
        default=None,
        description="File of API keys, one a line; with it, /v1 needs one. It may change at any time.",
    )
    cors_origins: str = Field(
        default="", description="Origins whose pages may call the service, parted by commas, or *; empty: none but its own."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, one JSON object a line elsewhere."
    )
    access_log: bool = Field(default=False, description="Whether every request is logged, and not only what goes wrong.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.default_side > self.max_side:
            raise ValueError(f"GANVAS_DEFAULT_SIDE ({self.default_side}) is over GANVAS_MAX_SIDE ({self.max_side})")
        return self

    @property
    def origins(self) -> list[str]:
        """`cors_origins`, one by one."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @property
    def models_folder(self) -> Path:
        """`models` as an absolute path."""
        return ROOT / self.models.expanduser()


@functools.cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SystemExit: a variable holds a value that cannot be used; stderr says which, and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            place = "GANVAS_" + str(problem["loc"][0]).upper() + ": " if problem["loc"] else ""
            given = f" (it is {problem['input']!r})" if place else ""
            sys.stderr.write(f"ganvas: {place}{problem['msg'].removeprefix('Value error, ')}{given}\n")
        raise SystemExit(2) from None


def table() -> str:
    """Every setting as a row of Markdown, as docs/operations.md shows them: `python -m service.settings` prints it."""
    rows = ["| variable | default | what |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "one a CPU" if name == "codec_threads" else str(field.default if field.default not in (None, "") else "")
        rows.append(f"| `GANVAS_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
