"""Jacobian-based saliency map attack: changes few pixels by much."""

import dataclasses

import numpy as np
from keras import ops

from tfrobust import checks, losses, norms
from tfrobust.attacks.base import AbstractDistanceAttack
from tfrobust.attacks.margins import confirmed

PIXELS = 28 * 28  # the image for which `cost` is stated: it is not told a size


def best_pairs(alpha, beta, allowed):
    """The pair of points with the greatest saliency, per image.

    Formula: maximise `-(alpha_p + alpha_q) (beta_p + beta_q)` over p != q with `alpha_p + alpha_q > 0` and
    `beta_p + beta_q < 0`.

    The saliency grows with both `alpha` and `-beta`. So a point that two others equal or exceed in both is in no pair
    that those others cannot match, and all pairs of the few points left are looked at.

    Args:
        alpha: derivative of the wanted logit by each point, `[batch, points]`.
        beta: derivative of the sum of all other logits, `[batch, points]`.
        allowed: which points may be chosen, bool `[batch, points]`.

    Returns:
        `(pairs [batch, 2], found [batch])`; `found` is False where no pair has a saliency above 0.

    Example:
        >>> allowed = np.ones((1, 3), bool)
        >>> best_pairs(np.array([[1.0, 2.0, 3.0]]), np.array([[-1.0, -1.0, 4.0]]), allowed)[0].tolist()
        [[1, 0]]
    """
    alpha = np.where(allowed, alpha, -np.inf).astype("float64")  # the product of two small float32 can vanish
    away = np.where(allowed, -beta, -np.inf).astype("float64")
    order = np.argsort(-alpha, axis=1)
    alpha, away = (np.take_along_axis(values, order, axis=1) for values in (alpha, away))
    alpha, away, place = _gathered(_two_skylines(away), alpha, away)
    score, first, second = np.zeros(len(alpha)), np.zeros(len(alpha), int), np.zeros(len(alpha), int)
    for p in range(alpha.shape[1] - 1):  # a loop, as a table of all pairs is large where the skyline is long
        rise = np.maximum(alpha[:, p, None] + alpha[:, p + 1 :], 0) * np.maximum(away[:, p, None] + away[:, p + 1 :], 0)
        q = rise.argmax(axis=1)
        better = rise[np.arange(len(q)), q] > score
        score[better] = rise[better, q[better]]
        first[better], second[better] = p, p + 1 + q[better]
    chosen = np.take_along_axis(place, np.stack([first, second], axis=1), axis=1)
    return np.take_along_axis(order, chosen, axis=1), score > 0


def _two_skylines(away):
    """Which points, sorted by falling alpha, are exceeded by fewer than two: the running maxima, peeled twice."""
    top = _is_new_maximum(away)
    return top | _is_new_maximum(np.where(top, -np.inf, away))


def _is_new_maximum(values):
    before = np.maximum.accumulate(values, axis=1)[:, :-1]
    return np.concatenate([values[:, :1] > -np.inf, values[:, 1:] > before], axis=1)


def _gathered(keep, *columns):
    """The kept entries of each row, moved to the left and filled up with -infinity; and where they came from."""
    rows, places = np.nonzero(keep)
    slots = (np.cumsum(keep, axis=1) - 1)[rows, places]
    shape = len(keep), max(2, keep.sum(axis=1).max())
    tables = [np.full(shape, -np.inf) for _ in columns] + [np.zeros(shape, int)]
    for table, values in zip(tables, [*(column[rows, places] for column in columns), places], strict=True):
        table[rows, slots] = values
    return tables


def weighted(coefficients, logits):
    """The loss `sum_j c_j z_j`, `[batch]`; its labels are the weights c, integers `[batch, classes]`."""
    return ops.sum(ops.cast(coefficients, logits.dtype) * logits, axis=-1)


def of_logits(victim, x, target):
    """`(logits, d z_t / dx, d sum_{j != t} z_j / dx)`, both derivatives `[batch, points]`, for a class t per image."""
    wanted = np.eye(victim.classes, dtype="int64")[target]
    twice = np.concatenate([x, x]), np.concatenate([wanted, 1 - wanted])
    _, logits, gradient = victim.loss_and_gradient(weighted, *twice)
    alpha, beta = gradient.reshape(2, len(x), -1)
    return logits[: len(x)], alpha, beta


def of_probabilities(victim, x, target):
    """As `of_logits`, for the softmax p; both derivatives over p_t, which ranks pairs alike and does not vanish."""
    _, logits, gradient = victim.loss_and_gradient(losses.cross_entropy, x, target)
    alpha = -gradient.reshape(len(x), -1)
    return logits, alpha, -alpha


DERIVATIVES = {"probabilities": (of_probabilities, 1), "logits": (of_logits, 2)}  # and their queries per pass


@dataclasses.dataclass(frozen=True, kw_only=True)
class JSMA(AbstractDistanceAttack):
    """Jacobian-based saliency map attack: the pair of pixels that helps most is moved, until the decision changes.

    Formula: with `alpha = d F_t / dx`, `beta = d sum_{j != t} F_j / dx`, add `theta` to the pixels p, q that maximise
    `-(alpha_p + alpha_q) (beta_p + beta_q)` where the first sum is above 0 and the second below (the other way round
    for a negative `theta`). Pixels at the bound are out; without such a pair the search ends.

    F are the probabilities, or the logits, see `of`. Probabilities sum to 1, so that `beta = -alpha`: the pair is the
    two greatest alpha. The class t is the label if `targeted`, else the likeliest other class of the clean image;
    any wrong class ends an untargeted search. Each channel of a colour image counts as a pixel of its own.

    Args:
        theta: change per pixel and step, not 0; a negative one darkens.
        gamma: largest share of pixels changed, in (0, 1].
        of: `"probabilities"` (F as the formula of the paper has it, and much the stronger), or `"logits"` (what its
            authors' experiments and CleverHans derive).
        n_targets: likeliest other classes tried in turn, the nearest result is kept; 1 if `targeted`.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractDistanceAttack`; `norm` only measures, what is
            kept small is the number of pixels.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> JSMA(theta=1.0, gamma=0.1).name
        'JSMA'

    Reference:
        N. Papernot et al., "The Limitations of Deep Learning in Adversarial Settings", EuroS&P 2016.
    """

    theta: float = 1.0
    gamma: float = 0.1
    of: str = "probabilities"
    n_targets: int = 1

    def __post_init__(self):
        super().__post_init__()
        checks.require(np.isfinite(self.theta) and self.theta != 0, "theta must be finite and not 0.", theta=self.theta)
        checks.require(0 < self.gamma <= 1, "gamma must lie in (0, 1].", gamma=self.gamma)
        checks.one_of(self.of, "of", DERIVATIVES)
        checks.count(self.n_targets, "n_targets")
        message = "a targeted JSMA has one target: n_targets must be 1."
        checks.require(not self.targeted or self.n_targets == 1, message, n_targets=self.n_targets)

    @property
    def name(self):
        return f"JSMA-T{self.n_targets}" if self.n_targets > 1 else "JSMA"

    def cost(self, eot=1):
        steps_per_pair = np.ceil((self.clip_max - self.clip_min) / abs(self.theta))
        pairs = self.gamma * PIXELS / 2 * steps_per_pair
        return int(pairs + 1) * DERIVATIVES[self.of][1] * self.n_targets * eot

    def propose(self, victim, x, y, rng):
        del rng
        queries = np.zeros(len(x), "int64")
        best, least = np.array(x), np.full(len(x), np.inf)
        for target in self._targets(victim, x, y, queries).T:
            found, reached = self._search(victim, x, y, target, queries)
            distance = norms.get(self.norm).distance(found - x)
            nearer = reached & (distance < least)
            least[nearer] = distance[nearer]
            take = nearer | np.isinf(least)
            best[take] = found[take]
        victim.queries = queries
        return best

    def _targets(self, victim, x, y, queries):
        """Classes to try, `[batch, k]`."""
        if self.targeted:
            return y[:, None]
        logits = victim.logits(x)
        queries += victim.passes
        logits[np.arange(len(x)), y] = -np.inf
        return np.argsort(-logits, axis=1)[:, : min(self.n_targets, victim.classes - 1)]

    def _search(self, victim, x, y, target, queries):
        """Images on the way to `target`, and whether they got where the attack wants them."""
        x_adv, reached = np.array(x), np.zeros(len(x), bool)
        flat = x_adv.reshape(len(x), -1)
        bound = self.clip_max if self.theta > 0 else self.clip_min
        derivatives, price = DERIVATIVES[self.of]
        active = np.arange(len(x))
        while len(active):
            current = x_adv[active]
            logits, alpha, beta = derivatives(victim, current, target[active])
            queries[active] += price * victim.eot
            there = (logits.argmax(1) == y[active]) == self.targeted
            reached[active] = confirmed(victim, current, y[active], self.targeted, there)
            changed = (current != x[active]).sum(axis=(1, 2, 3))
            sign = np.sign(self.theta)
            pairs, found = best_pairs(sign * alpha, sign * beta, flat[active] != bound)
            going = found & ~reached[active] & (changed + 2 <= self.gamma * flat.shape[1])
            active, pairs = active[going], pairs[going]
            moved = flat[active[:, None], pairs] + np.float32(self.theta)
            flat[active[:, None], pairs] = np.clip(moved, self.clip_min, self.clip_max)
        return x_adv, reached
