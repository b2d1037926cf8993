"""Detects from the metrics of a GAN's evaluations that it has collapsed, and suggests what to change.

Each rule compares an evaluation with the best evaluation before it. Metrics of few samples are noisy, and an untrained
generator has no variety yet. So the first evaluation only serves as a comparison, and a rule must hold at two evaluations in
a row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.metrics.fidelity import Fidelity

MIN_DIVERSITY = 0.3
"""Collapse: the diversity of the samples is below this; that of real images is 1."""

COVERAGE_KEPT, COVERAGE_HAD = 0.5, 0.1
"""Collapse: coverage is below `COVERAGE_KEPT` times its best value, and the best is at least `COVERAGE_HAD`; less is noise."""

FRECHET_RISE = 2.0
"""Collapse: the Frechet distance is at least this multiple of its best value."""

D_WINS, FRECHET_FALL, COVERAGE_LEARNED = 0.995, 0.95, 0.5
"""The discriminator has won: its accuracy is above `D_WINS`, the Frechet distance is above `FRECHET_FALL` times its best
value, and coverage is at most `COVERAGE_LEARNED`. A high accuracy is harmless while the generator still learns. It is
also harmless later, because at the end of every run the Frechet distance stops falling."""

D_FAILS, FRECHET_DRIFT = 0.5, 1.25
"""The discriminator has failed: its accuracy is below chance, `D_FAILS`, and the Frechet distance is above `FRECHET_DRIFT`
times its best value."""

_MORE_VARIETY = "Try --set objective=relativistic, --set pack=2, or a larger penalty.r1 and penalty.r2."
_WEAKER_DISCRIMINATOR = "Try a lower optimizer.d_learning_rate, a larger penalty.r1, augment, or skip_below."
_STRONGER_DISCRIMINATOR = "Try a higher optimizer.d_learning_rate, --set d_steps=2, or less instance_noise."


@dataclass(frozen=True)
class Verdict:
    """The result of the watch at one evaluation.

    Attributes:
        findings: sentences for the user: first what is wrong, in numbers, then what to try. Empty if all is well.
    """

    findings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The findings as one text."""
        return " ".join(self.findings)

    @property
    def collapsed(self) -> bool:
        """Whether it is useless to continue this run."""
        return bool(self.findings)


@dataclass(frozen=True)
class _Evaluation:
    step: int
    images: int
    fidelity: Fidelity
    d_accuracy: float


class CollapseWatch:
    """Judges each evaluation of a run by those before it. Part of a checkpoint, so a resumed run judges as before."""

    def __init__(self) -> None:
        self._evaluations: list[_Evaluation] = []

    def judge(self, step: int, images: int, fidelity: Fidelity, d_accuracy: float) -> Verdict:
        """Judge an evaluation.

        Args:
            step: steps done.
            images: real images shown by then, for the message.
            fidelity: of the generator now.
            d_accuracy: the fraction of pairs of a real and a fake image whose real image has the higher logit, the mean since
                the last evaluation; 0.5 if the discriminator cannot tell, 1 if it is always right.
        """
        before = _symptoms(self._evaluations)
        self._evaluations.append(_Evaluation(step, images, fidelity, float(d_accuracy)))
        lasting = [symptom for rule, symptom in _symptoms(self._evaluations).items() if rule in before]
        hints = dict.fromkeys(hint for _, hint in lasting)  # each once
        return Verdict((*(finding for finding, _ in lasting), *hints))

    @property
    def last_step(self) -> int | None:
        """The step of the last evaluation; None before the first."""
        return self._evaluations[-1].step if self._evaluations else None

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and value of the lowest Frechet distance so far; None before the first evaluation."""
        if not self._evaluations:
            return None
        best = _closest(self._evaluations)
        return best.step, best.fidelity.frechet

    def state_dict(self) -> dict[str, Any]:
        """All evaluations, in plain numbers."""
        return {"evaluations": [asdict(evaluation) for evaluation in self._evaluations]}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Restore a saved state."""
        self._evaluations = [
            _Evaluation(**{**evaluation, "fidelity": Fidelity(**evaluation["fidelity"])})
            for evaluation in state_dict["evaluations"]
        ]


def _symptoms(evaluations: Sequence[_Evaluation]) -> dict[str, tuple[str, str]]:
    """What is wrong with the last evaluation: rule -> the finding, and what to try."""
    if len(evaluations) < 2:
        return {}
    *earlier, last = evaluations
    now, closest, widest = last.fidelity, _closest(earlier), max(earlier, key=lambda one: one.fidelity.coverage)
    rise = now.frechet / closest.fidelity.frechet if closest.fidelity.frechet else 1.0
    frechet = f"{now.frechet:,.1f} now, {closest.fidelity.frechet:,.1f} at {closest.images:,} images"
    found: dict[str, tuple[str, str]] = {}
    if now.diversity < MIN_DIVERSITY:
        finding = f"The samples are nearly all alike: their diversity is {now.diversity:.2f}, that of real images is 1."
        found["diversity"] = finding, _MORE_VARIETY
    if widest.fidelity.coverage >= COVERAGE_HAD and now.coverage < COVERAGE_KEPT * widest.fidelity.coverage:
        coverage = f"coverage is {now.coverage:.2f} now, {widest.fidelity.coverage:.2f} at {widest.images:,} images."
        found["coverage"] = f"The samples are losing their variety: {coverage}", _MORE_VARIETY
    if rise >= FRECHET_RISE:
        found["frechet"] = f"The samples are getting worse: the Frechet distance is {frechet}.", _MORE_VARIETY
    if last.d_accuracy > D_WINS and rise > FRECHET_FALL and now.coverage <= COVERAGE_LEARNED:
        finding = (
            f"The discriminator has won: it is right in {last.d_accuracy:.1%} of pairs, and the Frechet distance no longer "
            f"falls ({frechet})."
        )
        found["discriminator"] = finding, _WEAKER_DISCRIMINATOR
    if last.d_accuracy < D_FAILS and rise > FRECHET_DRIFT:
        finding = (
            f"The discriminator has failed: it is right in only {last.d_accuracy:.1%} of pairs, and the Frechet distance rises "
            f"({frechet})."
        )
        found["generator"] = finding, _STRONGER_DISCRIMINATOR
    return found


def _closest(evaluations: Sequence[_Evaluation]) -> _Evaluation:
    return min(evaluations, key=lambda one: one.fidelity.frechet)
