"""Tells when a GAN has collapsed, from the metrics of its evaluations, and what to try then.

Each rule compares an evaluation with the best one before it. Metrics of few samples are noisy and an untrained generator has
no variety yet, so the first evaluation is only compared with, and a rule must hold at two evaluations in a row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from training.metrics.fidelity import Fidelity

LEAST_DIVERSITY = 0.3
"""Collapse: samples that differ less than so many times as much as real pictures do."""

COVERAGE_KEPT, COVERAGE_HAD = 0.5, 0.1
"""Collapse: coverage under this part of its best, once it was this much (below, it is noise)."""

FRECHET_RISE = 2.0
"""Collapse: a Frechet distance of at least so many times its best."""

D_WINS, FRECHET_FALL, COVERAGE_LEARNT = 0.995, 0.95, 0.5
"""The discriminator has won: it is right in more than this part of pairs, the Frechet distance does not fall below so many
times its best, and samples cover no more than this part of the real pictures. Being right is no harm while the generator
still learns from it, nor once it has learnt: at the end of every run nothing falls any more."""

D_FAILS, FRECHET_DRIFT = 0.5, 1.25
"""The discriminator has failed: it is right in less than this part of pairs, so worse than by chance, and the Frechet distance
has risen over so many times its best."""

_MORE_VARIETY = "Try another --set: objective=relativistic, pack=2, or a larger r1 and r2."
_WEAKER_DISCRIMINATOR = "Try another --set: a lower d_learning_rate, a larger r1, augment, or skip_below."
_STRONGER_DISCRIMINATOR = "Try another --set: a higher d_learning_rate, d_steps=2, or less instance_noise."


@dataclass(frozen=True)
class Verdict:
    """What the watch says of one evaluation.

    Attributes:
        words: sentences for the user: what is wrong, in numbers, then what to try. Empty where all is well.
    """

    words: tuple[str, ...] = ()

    @property
    def collapsed(self) -> bool:
        """Whether going on with this run is in vain."""
        return bool(self.words)


@dataclass(frozen=True)
class _Evaluation:
    step: int
    images: int
    fidelity: Fidelity
    d_accuracy: float


class CollapseWatch:
    """Remembers the evaluations of a run and judges each new one. Part of a checkpoint, so a resumed run judges as before."""

    def __init__(self) -> None:
        self._seen: list[_Evaluation] = []

    def judge(self, step: int, images: int, fidelity: Fidelity, d_accuracy: float) -> Verdict:
        """Say whether the run has collapsed.

        Args:
            step: steps done.
            images: real pictures shown by then, for the user to read.
            fidelity: of the generator now.
            d_accuracy: mean part, since the last evaluation, of pairs of a real and a fake picture in which the
                discriminator gives the real one the larger logit; 0.5 where it cannot tell, 1 where it is always right.
        """
        before = _symptoms(self._seen)
        self._seen.append(_Evaluation(step, images, fidelity, float(d_accuracy)))
        lasting = [symptom for rule, symptom in _symptoms(self._seen).items() if rule in before]
        hints = dict.fromkeys(hint for _, hint in lasting)  # each once
        return Verdict((*(finding for finding, _ in lasting), *hints))

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and value of the lowest Frechet distance so far; None before the first evaluation."""
        if not self._seen:
            return None
        best = _closest(self._seen)
        return best.step, best.fidelity.frechet

    def state_dict(self) -> dict[str, Any]:
        """All evaluations, in plain numbers."""
        return {"evaluations": [asdict(evaluation) for evaluation in self._seen]}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take them back."""
        self._seen = [
            _Evaluation(**{**evaluation, "fidelity": Fidelity(**evaluation["fidelity"])})
            for evaluation in state_dict["evaluations"]
        ]


def _symptoms(seen: Sequence[_Evaluation]) -> dict[str, tuple[str, str]]:
    """What is wrong with the last of some evaluations: rule -> what to tell the user, and what to try."""
    if len(seen) < 2:
        return {}
    *earlier, last = seen
    now, closest, widest = last.fidelity, _closest(earlier), max(earlier, key=lambda one: one.fidelity.coverage)
    rise = now.frechet / closest.fidelity.frechet if closest.fidelity.frechet else 1.0
    frechet = f"{now.frechet:,.1f}, after {closest.fidelity.frechet:,.1f} at {closest.images:,} images"
    found: dict[str, tuple[str, str]] = {}
    if now.diversity < LEAST_DIVERSITY:
        finding = f"The samples are nearly all alike: diversity {now.diversity:.2f}, where real pictures have 1."
        found["diversity"] = finding, _MORE_VARIETY
    if widest.fidelity.coverage >= COVERAGE_HAD and now.coverage < COVERAGE_KEPT * widest.fidelity.coverage:
        finding = f"coverage {now.coverage:.2f}, after {widest.fidelity.coverage:.2f} at {widest.images:,} images."
        found["coverage"] = f"The samples are losing their variety: {finding}", _MORE_VARIETY
    if rise >= FRECHET_RISE:
        found["frechet"] = f"The samples are getting worse: Frechet distance {frechet}.", _MORE_VARIETY
    right = f"real from fake in {last.d_accuracy:.1%} of pairs"
    if last.d_accuracy > D_WINS and rise > FRECHET_FALL and now.coverage <= COVERAGE_LEARNT:
        finding = f"The discriminator has won: it tells {right}, and the Frechet distance no longer falls ({frechet})."
        found["discriminator"] = finding, _WEAKER_DISCRIMINATOR
    if last.d_accuracy < D_FAILS and rise > FRECHET_DRIFT:
        finding = f"The discriminator has failed: it tells {right} only, and the Frechet distance rises ({frechet})."
        found["generator"] = finding, _STRONGER_DISCRIMINATOR
    return found


def _closest(seen: Sequence[_Evaluation]) -> _Evaluation:
    return min(seen, key=lambda one: one.fidelity.frechet)
