"""How far a run is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """The progress of a run at one of its steps.

    Attributes:
        step: the current step; the first step is 1.
        steps: steps of the whole run.
        images_per_step: training images in a step.
    """

    step: int
    steps: int
    images_per_step: int

    @property
    def fraction(self) -> float:
        """The fraction of the run that is done in the middle of the step: above 0 and below 1."""
        return (self.step - 0.5) / self.steps

    @property
    def images(self) -> int:
        """Training images shown by the end of the step, repeats counted."""
        return self.step * self.images_per_step
