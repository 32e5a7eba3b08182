"""DeepFool: repeated steps onto the nearest boundary of the linearised model."""

import dataclasses

import numpy as np

from tfrobust import checks
from tfrobust.attacks import boundary
from tfrobust.attacks.base import AbstractDistanceAttack

DAMPING = 0.8  # share of the linear distance that a step goes: a full step runs past a boundary that bends
LEAST = 1e-4  # in pixel units; added to each step, or the steps towards a boundary would shrink without crossing it


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeepFool(AbstractDistanceAttack):
    """DeepFool: step onto the nearest boundary of the model made linear, until the decision has changed.

    Formula: with `f_j = z_j - z_y` and `l = argmin_j |f_j| / ||grad f_j||_dual`, `r += d`,
    `x_t = clip(x + (1 + overshoot) r)`; d is the least step inside the box onto `f_l = 0`, but no longer than 0.8 of
    the linear distance `|f_l| / ||grad f_l||_dual`. At the end the line back to x is searched for the boundary.

    The paper's step ignores the box and is cut at the bounds, where much of it is lost; this one uses only pixels that
    can move. An image leaves the search once it is adversarial.

    Args:
        max_iter: most steps.
        overshoot: share of the whole perturbation by which the boundary is overstepped, at least 0.
        n_candidates: classes that are considered, the likeliest at the clean image and its label included; at least
            2, more than there are means all. With `targeted` only the boundary to the label given.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractDistanceAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> str(DeepFool(norm=2).threat)
        'L2, least distance, on [0,1]'

    Reference:
        S. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: a simple and accurate method to fool deep neural
        networks", CVPR 2016.
    """

    max_iter: int = 50
    overshoot: float = 0.02
    n_candidates: int = 10

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.max_iter, "max_iter")
        checks.eps(self.overshoot, "overshoot")
        checks.count(self.n_candidates, "n_candidates", least=2)

    def cost(self, eot=1):
        return self.max_iter * (self.n_candidates * eot + 1)

    def propose(self, victim, x, y, rng):
        del rng
        path, x_adv, queries = np.array(x), np.array(x), np.zeros(len(x), "int64")
        left, logits = boundary.look(victim, x, y, self.targeted)
        boundary.charge(victim, queries, slice(None))
        candidates = boundary.others(logits, y)[:, : self.n_candidates - 1]
        active, logits = np.flatnonzero(left >= 0), logits[left >= 0]
        for _ in range(self.max_iter):
            if len(active) == 0:
                break
            classes = boundary.sides(logits, y[active], candidates[active], self.targeted)
            path[active] += self._step(victim, x_adv[active], *classes)
            ahead = x[active] + (1 + self.overshoot) * (path[active] - x[active])
            x_adv[active] = np.clip(ahead, self.clip_min, self.clip_max)
            left, logits = boundary.look(victim, x_adv[active], y[active], self.targeted)
            boundary.charge(victim, queries, active)
            active, logits = active[left >= 0], logits[left >= 0]
        x_adv = boundary.search_line(victim, x, x_adv, y, self.targeted, queries)
        victim.queries = queries
        return x_adv

    def _step(self, victim, x, source, targets):
        """A damped step onto the nearest boundary between `source` and `targets`."""
        values, gradients = boundary.linearised(victim, x, source, targets)
        value, gradient, dual = boundary.nearest(values, gradients, self.norm)
        distance = np.maximum(-value, 0) / dual + LEAST
        step = boundary.step_onto(x, distance * dual, gradient, self.threat.bounds, self.norm)
        return boundary.shortened(step, DAMPING * distance + LEAST, self.norm)
