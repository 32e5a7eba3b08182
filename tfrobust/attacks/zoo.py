"""ZOO: Carlini and Wagner's objective minimised one coordinate at a time, with differences for derivatives."""

import dataclasses

import numpy as np

from tfrobust import checks, norms
from tfrobust.attacks.base import AbstractDistanceAttack
from tfrobust.attacks.margins import confirmed, margin, parts

DECAY = (0.9, 0.999)  # Adam's, of the first and second moment
CHECKS = 5  # times per search that progress is looked at
PROGRESS = 0.9999  # an objective that has not fallen below this share since the last look has stalled


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZOO(AbstractDistanceAttack):
    """Zeroth-order optimisation: coordinate-wise Adam on distance and margin, needing only logits.

    Formula: minimise `||x' - x||_2^2 + c max(m(x') + kappa, 0)` over x' inside the bounds, m the margin
    `z_y - max_{j != y} z_j`. Each step draws coordinates i, takes `dm/dx_i` from the difference of the queries at
    `x' ± delta e_i`, and moves those coordinates by Adam, each with its own moments. c is found by bisection, tenfold
    up while nothing succeeds. Where the margin is below -kappa its term is 0 and no queries are spent on it.

    Args:
        max_iter: most steps per c; a search that stalls ends before.
        n_coordinates: coordinates moved per step, each at 2 queries; at most all pixels.
        search_steps: values of c tried.
        initial_c: the first c, above 0.
        learning_rate: Adam's, in pixel units.
        delta: half the distance of a pair of queries, in pixel units, above 0. The paper's 0.0001 drowns in float32
            rounding and sees no step of a quantized network.
        confidence: kappa, in logits, at least 0. Against a random model give it some: the nearest image at which
            one vote of passes says success lies where the next vote may not.
        eps, norm (2 only), clip_min, clip_max, targeted, eot, seed: see `AbstractDistanceAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range, or a norm other than 2.

    Example:
        >>> ZOO(max_iter=100, n_coordinates=64, search_steps=3).cost()
        38700

    Reference:
        P.-Y. Chen et al., "ZOO: Zeroth Order Optimization Based Black-box Attacks to Deep Neural Networks without
        Training Substitute Models", AISec 2017.
    """

    max_iter: int = 300
    n_coordinates: int = 128
    search_steps: int = 4
    initial_c: float = 1.0
    learning_rate: float = 0.01
    delta: float = 0.01
    confidence: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        checks.require(self.norm == 2, "ZOO works in L2 only: norm must be 2.", norm=self.norm)
        for name in ("max_iter", "n_coordinates", "search_steps"):
            checks.count(getattr(self, name), name)
        for name in ("initial_c", "delta", "learning_rate"):
            value = getattr(self, name)
            checks.require(np.isfinite(value) and value > 0, f"{name} must be above 0.", **{name: value})
        checks.eps(self.confidence, "confidence")

    def cost(self, eot=1):
        return self.search_steps * self.max_iter * (2 * self.n_coordinates + 1)

    def propose(self, victim, x, y, rng):
        x_adv, queries = np.array(x), np.zeros(len(x), "int64")
        for part in parts(len(x), 2 * min(self.n_coordinates, x[0].size)):
            search = _Search(self, victim, x[part], y[part], rng)
            search.bisect()
            x_adv[part], queries[part] = search.best, search.queries
        victim.queries = queries * victim.passes
        return x_adv


class _Search:
    """The search on one part of a batch: the nearest adversarial images so far, and what they cost."""

    def __init__(self, attack, victim, x, y, rng):
        self.attack, self.victim, self.x, self.y, self.rng = attack, victim, x, y, rng
        self.best, self.least = np.array(x), np.full(len(x), np.inf)
        self.queries = np.zeros(len(x), "int64")

    def bisect(self):
        """Minimise for several c per image."""
        low, high = np.zeros(len(self.x)), np.full(len(self.x), np.inf)
        c = np.full(len(self.x), self.attack.initial_c)
        for _ in range(self.attack.search_steps):
            succeeded = self._minimise(c)
            high[succeeded], low[~succeeded] = c[succeeded], c[~succeeded]
            c = np.where(np.isinf(high), 10 * c, (low + high) / 2)

    def _minimise(self, c):
        """Adam from the clean images; returns which were adversarial on the way."""
        state = _Adam(self.x.reshape(len(self.x), -1).shape, self.attack.learning_rate)
        x_adv, active = np.array(self.x), np.arange(len(self.x))
        succeeded = np.zeros(len(self.x), bool)
        before = np.full(len(self.x), np.inf)
        for step in range(self.attack.max_iter):
            hinge = margin(self.victim, x_adv[active], self.y[active], self.attack.targeted) + self.attack.confidence
            self.queries[active] += 1
            succeeded[active] |= self._keep(active, x_adv[active], hinge <= 0)
            if step % max(1, self.attack.max_iter // CHECKS) == 0:
                change = np.square(x_adv[active] - self.x[active]).sum(axis=(1, 2, 3))
                objective = change + c[active] * np.maximum(hinge, 0)
                going = (objective < PROGRESS * before[active]) | self.victim.is_random  # noise is no stall
                before[active] = objective
                active, hinge = active[going], hinge[going]
                if len(active) == 0:
                    break
            x_adv[active] = self._step(state, active, x_adv[active], c[active] * (hinge > 0))
        return succeeded

    def _keep(self, active, x_adv, seen):
        """Remember what is adversarial and nearer than before; returns what is adversarial."""
        there = confirmed(self.victim, x_adv, self.y[active], self.attack.targeted, seen)
        distance = norms.get(2).distance(x_adv - self.x[active])
        nearer = there & (distance < self.least[active])
        self.best[active[nearer]], self.least[active[nearer]] = x_adv[nearer], distance[nearer]
        return there

    def _step(self, state, active, x_adv, weight):
        """One step of some coordinates of the active images; `weight` is c, or 0 where the margin plays no part."""
        flat, points = x_adv.reshape(len(active), -1), self.x[0].size
        order = self.rng.random((len(active), points), dtype="float32")
        chosen = order.argpartition(min(self.attack.n_coordinates, points) - 1)[:, : self.attack.n_coordinates]
        origin = self.x.reshape(-1, points)[active]
        gradient = 2 * np.take_along_axis(flat - origin, chosen, axis=1)
        probed = np.flatnonzero(weight)
        if len(probed):
            slopes = self._slopes(x_adv[probed], self.y[active[probed]], chosen[probed])
            gradient[probed] += weight[probed, None] * slopes
            self.queries[active[probed]] += 2 * chosen.shape[1]
        moved = np.take_along_axis(flat, chosen, axis=1) - state.step(active[:, None], chosen, gradient)
        np.put_along_axis(flat, chosen, np.clip(moved, self.attack.clip_min, self.attack.clip_max), axis=1)
        return flat.reshape(x_adv.shape)

    def _slopes(self, x, y, chosen):
        """Derivative of the margin by the chosen coordinates, `[batch, n]`."""
        count, n = chosen.shape
        probes = np.repeat(x.reshape(count, 1, 1, -1), 2, axis=1).repeat(n, axis=2)
        image, which = np.arange(count)[:, None], np.arange(n)
        probes[image, 0, which, chosen] += np.float32(self.attack.delta)
        probes[image, 1, which, chosen] -= np.float32(self.attack.delta)
        margins = margin(self.victim, probes.reshape(-1, *x.shape[1:]), np.repeat(y, 2 * n), self.attack.targeted)
        margins = margins.reshape(count, 2, n)
        return (margins[:, 0] - margins[:, 1]) / (2 * self.attack.delta)


class _Adam:
    """Adam with moments and a step count of its own for every coordinate."""

    def __init__(self, shape, learning_rate):
        self.first, self.second, self.count = np.zeros(shape), np.zeros(shape), np.zeros(shape, int)
        self.learning_rate = learning_rate

    def step(self, rows, columns, gradient):
        """The move against `gradient` of the coordinates `[rows, columns]`."""
        at = rows, columns
        self.count[at] += 1
        self.first[at] = DECAY[0] * self.first[at] + (1 - DECAY[0]) * gradient
        self.second[at] = DECAY[1] * self.second[at] + (1 - DECAY[1]) * np.square(gradient)
        mean = self.first[at] / (1 - DECAY[0] ** self.count[at])
        spread = self.second[at] / (1 - DECAY[1] ** self.count[at])
        return self.learning_rate * mean / np.maximum(np.sqrt(spread), 1e-12)
