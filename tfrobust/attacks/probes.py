"""Probes without gradients: random noise and a constant offset. Cheap, and telling where gradients are masked."""

import dataclasses

import numpy as np

from tfrobust import checks, norms
from tfrobust.attacks.base import AbstractBudgetAttack


def try_in_turn(victim, x, y, candidates, targeted):
    """For each image the first candidate that is adversarial in one pass, else the last one."""
    best = np.array(x)
    open_images = np.ones(len(x), bool)
    for candidate in candidates:
        best[open_images] = candidate[open_images]
        decided = victim.logits(best).argmax(-1)
        open_images &= decided != y if targeted else decided == y
        if not open_images.any():
            break
    return best


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformNoise(AbstractBudgetAttack):
    """Random noise drawn uniformly from the ball; with several draws, the first that succeeds.

    Formula: `clip(x + U(ball of eps))`.

    Args:
        n_draws: draws tried per image.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> UniformNoise(eps=0.3).name
        'UniformNoise'

    Reference:
        J. Rauber, W. Brendel, M. Bethge, "Foolbox: A Python toolbox to benchmark the robustness of machine learning
        models", ICML workshop 2017.
    """

    n_draws: int = 1

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.n_draws, "n_draws")

    def propose(self, victim, x, y, rng):
        sample = norms.get(self.norm).sample
        draws = (np.clip(x + sample(rng, x.shape, self.eps), *self.threat.bounds) for _ in range(self.n_draws))
        return try_in_turn(victim, x, y, draws, self.targeted)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConstantOffset(AbstractBudgetAttack):
    """Add one number to every pixel, and sweep that number over the budget.

    Formula: `clip(x + c)` for `c` in `offsets`, smallest magnitude first; the first that succeeds is kept.

    Args:
        offsets: numbers to try, each at most `eps` in magnitude; None is 21 evenly spaced from -eps to eps.
        eps, norm (Linf only), clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an offset beyond the budget, or a norm other than Linf.

    Example:
        >>> ConstantOffset(eps=0.3, offsets=(0.3,)).name
        'ConstantOffset+0.3'

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Predicting Adversarial Examples with High Confidence", arXiv 2018.
    """

    offsets: tuple[float, ...] | None = None

    def __post_init__(self):
        super().__post_init__()
        checks.require(
            self.norm == np.inf, "ConstantOffset works in Linf only: norm must be numpy.inf.", norm=self.norm
        )
        beyond = [offset for offset in self.offsets or () if not abs(offset) <= self.eps]
        checks.require(not beyond, f"offsets must be at most eps={self.eps} in magnitude.", offsets=beyond)

    @property
    def name(self):
        is_single = self.offsets is not None and len(self.offsets) == 1
        return f"ConstantOffset{self.offsets[0]:+g}" if is_single else "ConstantOffset"

    def propose(self, victim, x, y, rng):
        del rng
        offsets = np.linspace(-self.eps, self.eps, 21) if self.offsets is None else np.asarray(self.offsets)
        ordered = offsets[np.argsort(np.abs(offsets), kind="stable")].astype("float32")
        candidates = (np.clip(x + offset, *self.threat.bounds) for offset in ordered)
        return try_in_turn(victim, x, y, candidates, self.targeted)
