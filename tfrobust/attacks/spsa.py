"""SPSA: gradient steps without a gradient, which is estimated from random pairs of queries."""

import dataclasses

import numpy as np

from tfrobust import checks
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.margins import margin, parts

DECAY = (0.9, 0.999)  # Adam's, of the first and second moment


def estimate(victim, x, y, targeted, directions, delta):
    """Gradient of the margin at each image from symmetric differences along random signs.

    Formula: `g = 1/n sum_i (m(x + delta v_i) - m(x - delta v_i)) / (2 delta) v_i`.

    Args:
        victim: a `Victim`; only its logits are used.
        x: images, `[batch, height, width, channels]`.
        y: labels, `[batch]`.
        targeted: whether `y` are labels to reach.
        directions: v, each -1 or 1, `[batch, n, height, width, channels]`.
        delta: size of the perturbation, in pixel units.

    Returns:
        g, of the shape of `x`.
    """
    n = directions.shape[1]
    probes = np.stack([x[:, None] + delta * directions, x[:, None] - delta * directions], axis=1)
    margins = margin(victim, probes.reshape(-1, *x.shape[1:]), np.repeat(y, 2 * n), targeted).reshape(len(x), 2, n)
    slopes = (margins[:, 0] - margins[:, 1]) / (2 * delta)
    return np.einsum("bn,bnhwc->bhwc", slopes, directions, optimize=True) / n


@dataclasses.dataclass(frozen=True, kw_only=True)
class SPSA(AbstractBudgetAttack):
    """Simultaneous perturbation stochastic approximation: Adam on estimated gradients of the margin, projected.

    Formula: `x_{t+1} = project(x_t - learning_rate adam(g_t))`, g_t from `n_samples` pairs of queries at
    `x_t ± delta v`, v random signs. In L2 Adam's second moment is one number per image, so that a step keeps the
    direction of the gradient. An image leaves the search once it is adversarial, unless the model is random. Queries
    may lie `delta` outside the bounds.

    Args:
        nb_iter: number of steps.
        n_samples: pairs of queries per step.
        learning_rate: Adam's, in pixel units.
        delta: half the distance of a pair, in pixel units, above 0.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> SPSA(eps=0.3, nb_iter=100).cost()
        25700

    Reference:
        J. Uesato et al., "Adversarial Risk and the Dangers of Evaluating Against Weak Attacks", ICML 2018.
    """

    nb_iter: int = 100
    n_samples: int = 128
    learning_rate: float = 0.01
    delta: float = 0.01

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.nb_iter, "nb_iter")
        checks.count(self.n_samples, "n_samples")
        checks.eps(self.learning_rate, "learning_rate")
        checks.require(np.isfinite(self.delta) and self.delta > 0, "delta must be above 0.", delta=self.delta)

    @property
    def name(self):
        return f"SPSA-{self.nb_iter}"

    def cost(self, eot=1):
        return self.nb_iter * (2 * self.n_samples + 1)

    def propose(self, victim, x, y, rng):
        x_adv, queries = np.array(x), np.zeros(len(x), "int64")
        for part in parts(len(x), 2 * self.n_samples):
            x_adv[part], queries[part] = self._descend(victim, x[part], y[part], rng)
        victim.queries = queries * victim.passes
        return x_adv

    def _descend(self, victim, x, y, rng):
        """Images and queries of one part of a batch."""
        x_adv, queries = np.array(x), np.zeros(len(x), "int64")
        first, second = np.zeros_like(x), np.zeros_like(x)
        active = np.arange(len(x))
        for step in range(1, self.nb_iter + 1):
            if not victim.is_random:
                queries[active] += 1
                active = active[margin(victim, x_adv[active], y[active], self.targeted) >= 0]
                if len(active) == 0:
                    break
            signs = rng.integers(0, 2, size=(len(active), self.n_samples, *x.shape[1:]), dtype="int8")
            directions = 2 * signs.astype("float32") - 1
            gradient = estimate(victim, x_adv[active], y[active], self.targeted, directions, np.float32(self.delta))
            queries[active] += 2 * self.n_samples
            size = np.square(gradient)
            if self.norm == 2:
                size = size.mean(axis=(1, 2, 3), keepdims=True)
            first[active] = DECAY[0] * first[active] + (1 - DECAY[0]) * gradient
            second[active] = DECAY[1] * second[active] + (1 - DECAY[1]) * size
            mean, spread = first[active] / (1 - DECAY[0] ** step), np.sqrt(second[active] / (1 - DECAY[1] ** step))
            moved = x_adv[active] - np.float32(self.learning_rate) * mean / np.maximum(spread, 1e-12)
            x_adv[active] = self.inside(moved.astype("float32"), x[active])
        return x_adv, queries
