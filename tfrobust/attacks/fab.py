"""FAB, the fast adaptive boundary attack: projections onto the linearised boundary, drawn back towards the image."""

import dataclasses

import numpy as np

from tfrobust import checks, norms
from tfrobust.attacks import boundary
from tfrobust.attacks.base import AbstractDistanceAttack


@dataclasses.dataclass(frozen=True, kw_only=True)
class FAB(AbstractDistanceAttack):
    """Fast adaptive boundary attack: walk along the decision boundary towards the point of it nearest to the image.

    Formula: with the nearest boundary of the model made linear at x_t, d_t and d_0 the least steps inside the box from
    x_t and from x onto it, and `a = min(||d_t|| / (||d_t|| + ||d_0||), alpha_max)`:
    `x_{t+1} = clip((1 - a) (x_t + eta d_t) + a (x + eta d_0))`; if that is adversarial, the walk goes on from
    `x + beta (x_{t+1} - x)`. At the end the line from x to the nearest image found is searched for the boundary.

    Args:
        max_iter: steps per restart (and per class in turn, if `n_target_classes` is set).
        n_restarts: walks; the first starts at the image, others at random within half the least distance so far.
        n_target_classes: None takes the nearest of all boundaries at each step, at one backward pass per class; a
            number k ("FAB-T<k>") walks along the boundaries to the k likeliest other classes one after the other.
        alpha_max: most weight of the step from x, in [0, 1].
        eta: how far a step goes beyond the boundary it aims at, at least 1.
        beta: share of the perturbation that is kept after success, in (0, 1).
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractDistanceAttack`. With `eps` an image is done
            once it is adversarial within it, so its distance is no longer the least.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range, or `n_target_classes` for a targeted attack.

    Example:
        >>> FAB(norm=2, n_target_classes=9).name
        'FAB-T9-100'

    Reference:
        F. Croce, M. Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack", ICML 2020.
    """

    max_iter: int = 100
    n_restarts: int = 1
    n_target_classes: int | None = None
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.max_iter, "max_iter")
        checks.count(self.n_restarts, "n_restarts")
        if self.n_target_classes is not None:
            checks.count(self.n_target_classes, "n_target_classes")
            message = "n_target_classes must be None for a targeted attack, which has its class."
            checks.require(not self.targeted, message, n_target_classes=self.n_target_classes)
        checks.require(0 <= self.alpha_max <= 1, "alpha_max must lie in [0, 1].", alpha_max=self.alpha_max)
        checks.require(self.eta >= 1, "eta must be at least 1.", eta=self.eta)
        checks.require(0 < self.beta < 1, "beta must lie in (0, 1).", beta=self.beta)

    @property
    def name(self):
        return f"FAB-{'' if self.n_target_classes is None else f'T{self.n_target_classes}-'}{self.max_iter}"

    def cost(self, eot=1):
        return self.max_iter * self.n_restarts * (self.n_target_classes or 1) * (eot + 1)

    def propose(self, victim, x, y, rng):
        walk = _Walk(self, victim, x, y)
        logits = walk.look(x, np.arange(len(x)))
        candidates = boundary.others(logits, y)
        turns = [candidates] if self.n_target_classes is None else np.split(candidates, candidates.shape[1], axis=1)
        for restart in range(self.n_restarts):
            for targets in turns[: self.n_target_classes]:
                start = x if restart == 0 else walk.random_start(rng)
                walk.run(start, logits, targets)
        found = boundary.search_line(victim, x, walk.best, y, self.targeted, walk.queries)
        victim.queries = walk.queries
        return found


class _Walk:
    """The nearest adversarial images of a batch so far, and the steps that find nearer ones."""

    def __init__(self, attack, victim, x, y):
        self.attack, self.victim, self.x, self.y = attack, victim, x, y
        self.norm = norms.get(attack.norm)
        self.best = np.array(x)
        self.distance = np.full(len(x), np.inf)
        self.queries = np.zeros(len(x), "int64")

    def look(self, images, rows):
        """Judge `images` of these rows, keep those that are the nearest yet, and return the logits."""
        left, logits = boundary.look(self.victim, images, self.y[rows], self.attack.targeted)
        boundary.charge(self.victim, self.queries, rows)
        self.is_over = left < 0
        distance = self.norm.distance(images - self.x[rows])
        nearer = self.is_over & (distance < self.distance[rows])
        self.best[rows[nearer]], self.distance[rows[nearer]] = images[nearer], distance[nearer]
        return logits

    def open_rows(self):
        """Images that are neither adversarial at once nor, if there is a budget, adversarial within it."""
        return np.flatnonzero(self.distance > (self.attack.eps or 0.0))

    def random_start(self, rng):
        """Points drawn from balls of half the least distance, or half the budget where that is less."""
        widest = self.norm.distance(np.full_like(self.x, self.attack.clip_max - self.attack.clip_min))
        radius = np.minimum(np.minimum(self.distance, self.attack.threat.eps), widest) / 2
        delta = self.norm.sample(rng, self.x.shape, 1.0) * boundary.per_image(radius)
        return np.clip(self.x + delta, *self.attack.threat.bounds).astype("float32")

    def run(self, start, logits, targets):
        """One walk of every open image from `start`."""
        at, logits = np.array(start), np.array(logits)
        for _ in range(self.attack.max_iter):
            rows = self.open_rows()
            if len(rows) == 0:
                return
            classes = boundary.sides(logits[rows], self.y[rows], targets[rows], self.attack.targeted)
            ahead = self._step(at[rows], self.x[rows], *classes)
            logits[rows] = self.look(ahead, rows)
            drawn_back = self.x[rows] + self.attack.beta * (ahead - self.x[rows])
            at[rows] = np.where(boundary.per_image(self.is_over), drawn_back, ahead)

    def _step(self, at, x, source, targets):
        """Step from `at`, and less so from `x`, beyond the nearest boundary of the model made linear at `at`."""
        attack, bounds = self.attack, self.attack.threat.bounds
        values, gradients = boundary.linearised(self.victim, at, source, targets)
        value, gradient, _ = boundary.nearest(values, gradients, attack.norm)
        value_at_x = value + np.einsum("bhwc,bhwc->b", gradient, x - at)
        here = boundary.step_onto(at, -value, gradient, bounds, attack.norm)
        home = boundary.step_onto(x, -value_at_x, gradient, bounds, attack.norm)
        length, from_x = self.norm.distance(here), self.norm.distance(home)
        weight = np.minimum(length / np.maximum(length + from_x, boundary.TINY), attack.alpha_max)
        weight = boundary.per_image(weight).astype("float32")
        ahead = (1 - weight) * (at + attack.eta * here) + weight * (x + attack.eta * home)
        return np.clip(ahead, *bounds)
