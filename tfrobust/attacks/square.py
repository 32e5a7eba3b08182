"""Square attack: random search that needs only logits."""

import dataclasses

import numpy as np

from tfrobust import checks
from tfrobust.attacks.base import AbstractBudgetAttack

# Share of the image that a square covers is halved at these shares of the budget (Andriushchenko et al., section 4).
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Square(AbstractBudgetAttack):
    """Square attack in Linf: at each query one random square takes random colours at the edge of the ball.

    Formula: start at `x + eps s`, s = random vertical stripes of -1 and +1; then draw a square of side
    `sqrt(p h w)`, set the change inside it to `eps` times a random sign per channel, and keep it if the margin
    `z_y - max_{j != y} z_j` falls. p starts at `p_init` and halves at fixed shares of the budget.

    Uses no gradient, so it also finds what gradient masking hides, and works on any callable (a TFLite file too).

    Args:
        n_queries: most forward passes per image.
        p_init: share of pixels in the first squares, in (0, 1].
        eps, norm (Linf only), clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`. A random
            model's margin is one pass per query unless `eot` asks for more, and no image is given up before the
            budget is spent.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range, or a norm other than Linf.

    Example:
        >>> Square(eps=0.3, n_queries=2000).name
        'Square-2000'

    Reference:
        M. Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search",
        ECCV 2020.
    """

    n_queries: int = 1000
    p_init: float = 0.8

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.n_queries, "n_queries")
        checks.require(0 < self.p_init <= 1, "p_init must lie in (0, 1].", p_init=self.p_init)
        checks.require(self.norm == np.inf, "Square works in Linf only: norm must be numpy.inf.", norm=self.norm)

    @property
    def name(self):
        return f"Square-{self.n_queries}"

    def cost(self, eot=1):
        return self.n_queries

    def propose(self, victim, x, y, rng):
        stripes = rng.choice(np.float32([-self.eps, self.eps]), size=(len(x), 1, *x.shape[2:]))
        best = np.clip(x + stripes, self.clip_min, self.clip_max)
        best_margin = self._margin(victim, best, y)
        queries = np.ones(len(x), "int64")
        # A random model's margin may be low by one lucky draw: there the best image is measured again beside each
        # candidate, and every image goes on to the end.
        per_step = 2 if victim.is_random else 1
        for query in range(1, self.n_queries, per_step):
            active = np.arange(len(x)) if victim.is_random else np.flatnonzero(best_margin >= 0)
            if len(active) == 0:
                break
            if victim.is_random:
                best_margin = self._margin(victim, best, y)
            candidate = self._with_square(x[active], best[active], self._side(x.shape, query), rng)
            margin = self._margin(victim, candidate, y[active])
            improves = margin < best_margin[active]
            best[active[improves]] = candidate[improves]
            best_margin[active[improves]] = margin[improves]
            queries[active] += per_step
        victim.queries = queries * victim.passes
        return best

    def _side(self, shape, query):
        """Side of the square at this query, in pixels."""
        halvings = sum(query / self.n_queries > share for share in HALVINGS)
        share = self.p_init / 2**halvings
        return int(np.clip(round(np.sqrt(share * shape[1] * shape[2])), 1, min(shape[1:3])))

    def _with_square(self, x, current, side, rng):
        """`current` with the change inside one random square per image redrawn."""
        n, height, width, channels = x.shape
        top = rng.integers(0, height - side + 1, size=(n, 1))
        left = rng.integers(0, width - side + 1, size=(n, 1))
        rows = (np.arange(height) >= top) & (np.arange(height) < top + side)
        columns = (np.arange(width) >= left) & (np.arange(width) < left + side)
        inside = (rows[:, :, None] & columns[:, None, :])[..., None]  # [n, height, width, 1]
        colour = rng.choice(np.float32([-self.eps, self.eps]), size=(n, 1, 1, channels))
        return np.where(inside, np.clip(x + colour, self.clip_min, self.clip_max), current)

    def _margin(self, victim, x, y):
        """How far each image is from success (negative: reached)."""
        logits = victim.logits(x)
        rows = np.arange(len(x))
        labelled = logits[rows, y]
        logits[rows, y] = -np.inf
        margin = labelled - logits.max(-1)
        return -margin if self.targeted else margin
