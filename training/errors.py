"""What can go wrong in training that its user can mend.

TrainingError           the command line prints its message and exits with code 2
├── ConfigError         a config or an option that makes no sense
├── DataError           pictures that are missing, too few, too small
├── RunError            a run folder that exists already, or holds no run
│   └── NotFiniteError  a loss or a weight that is no number: the training diverged
├── WeightsError        pretrained weights that cannot be had
└── ExportError         an exported model that does not do what the trained network does
"""


class TrainingError(Exception):
    """Base class: its message says what was wrong, what is allowed and what to do."""


class ConfigError(TrainingError):
    """A config or an option that makes no sense."""


class DataError(TrainingError):
    """Images that are missing, too few or too small."""


class RunError(TrainingError):
    """A run folder that exists already, or that holds no run."""


class NotFiniteError(RunError):
    """A loss or a weight became NaN or infinite: the training diverged. Checkpoints before it are whole."""


class WeightsError(TrainingError):
    """Pretrained weights that cannot be had."""


class ExportError(TrainingError):
    """An exported model that does not do what the trained network does, or that cannot be written."""


def first_line(error: BaseException) -> str:
    """What another library's error says, in one line; its name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
