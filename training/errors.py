"""Errors of training that its user can fix.

TrainingError           the command line prints the message and exits with code 2
├── ConfigError         a config or an option that is not allowed
├── DataError           images that are missing, too few or too small
├── RunError            a run folder that exists already, holds no run, or cannot be continued
│   └── NotFiniteError  a loss or a weight that is NaN or infinite: the training diverged
├── WeightsError        pretrained weights that are missing or broken
└── ExportError         an exported model that is wrong or cannot be written
"""


class TrainingError(Exception):
    """Base class. The message says what went wrong, what is allowed and what to do."""


class ConfigError(TrainingError):
    """A config or an option that is not allowed."""


class DataError(TrainingError):
    """Images that are missing, too few or too small."""


class RunError(TrainingError):
    """A run folder that exists already, holds no run, or cannot be continued."""


class NotFiniteError(RunError):
    """A loss or a weight became NaN or infinite: the training diverged. Earlier checkpoints are intact."""


class Stopped(KeyboardInterrupt):
    """The user or the system stopped a run. It ended between two steps, with a checkpoint.

    Args:
        step: steps that the checkpoint holds.
        exit_code: of the command: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, step: int, exit_code: int) -> None:
        super().__init__(step, exit_code)
        self.step, self.exit_code = step, exit_code


class WeightsError(TrainingError):
    """Pretrained weights that are missing or broken."""


class ExportError(TrainingError):
    """A file that is not an exported model, differs from the trained network, or cannot be written."""


def first_line(error: BaseException) -> str:
    """The first line of another library's error; the name of its class if it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
