"""Square attack: random search that needs only logits."""

import dataclasses

import numpy as np

from tfrobust import checks
from tfrobust.attacks import square_l2
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.margins import margin

# Share of the image that a square covers is halved at these shares of the budget (Andriushchenko et al., section 4).
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)

REDRAWS = 4  # most times that a square which changes nothing is drawn again before the image waits for the next query


def stripes(rng, shape, eps):
    """First change in Linf: a random sign per column and channel."""
    return rng.choice(np.float32([-eps, eps]), size=(shape[0], 1, *shape[2:]))


def with_square(rng, x, current, share, attack):
    """`current` with the change inside one random square per image redrawn."""
    n, height, width, channels = x.shape
    side = int(np.clip(round(np.sqrt(share * height * width)), 1, min(height, width)))
    top = rng.integers(0, height - side + 1, size=(n, 1))
    left = rng.integers(0, width - side + 1, size=(n, 1))
    colour = rng.choice(np.float32([-attack.eps, attack.eps]), size=(n, 1, 1, channels))
    rows, columns = top + np.arange(side), left + np.arange(side)
    square = np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]
    candidate = current.copy()
    candidate[square] = np.clip(x[square] + colour, attack.clip_min, attack.clip_max)
    return candidate


def _redraw(redrawn, rng, x, current, share, attack):
    """Candidates, and which of them differ from `current`: a square that draws the colours it has is drawn again."""
    candidate = redrawn(rng, x, current, share, attack)
    differs = (candidate != current).any(axis=(1, 2, 3))
    for _ in range(REDRAWS):
        same = np.flatnonzero(~differs)
        if len(same) == 0:
            break
        candidate[same] = redrawn(rng, x[same], current[same], share, attack)
        differs[same] = (candidate[same] != current[same]).any(axis=(1, 2, 3))
    return candidate, differs


SEARCHES = {np.inf: (stripes, with_square), 2: (square_l2.tiles, square_l2.with_windows)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Square(AbstractBudgetAttack):
    """Square attack: at each query one random square of the change is redrawn, and kept if that helps.

    Formula: in Linf start at `x + eps s`, s = random vertical stripes of -1 and +1; then draw a square of side
    `sqrt(p h w)`, set the change inside it to `eps` times a random sign per channel, and keep it if the margin
    `z_y - max_{j != y} z_j` falls. p starts at `p_init` and halves at fixed shares of the budget. In L2 the change of
    one window moves into another, where it grows by a bump of random sign: see `square_l2`.

    Uses no gradient, so it also finds what gradient masking hides, and works on any callable (a TFLite file too).

    Args:
        n_queries: most forward passes per image.
        p_init: share of pixels in the first squares, in (0, 1].
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`. A random
            model's margin is one pass per query unless `eot` asks for more, and no image is given up before the
            budget is spent.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

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

    @property
    def name(self):
        return f"Square-{self.n_queries}"

    def cost(self, eot=1):
        return self.n_queries

    def propose(self, victim, x, y, rng):
        start, redrawn = SEARCHES[self.norm]
        best = np.clip(x + start(rng, x.shape, self.eps), self.clip_min, self.clip_max)
        best_margin = margin(victim, best, y, self.targeted)
        queries = np.ones(len(x), "int64")
        # A random model's margin may be low by one lucky draw: there the best image is measured again beside each
        # candidate, and every image goes on to the end.
        per_step = 2 if victim.is_random else 1
        for query in range(1, self.n_queries, per_step):
            active = np.arange(len(x)) if victim.is_random else np.flatnonzero(best_margin >= 0)
            if len(active) == 0:
                break
            if victim.is_random:
                best_margin = margin(victim, best, y, self.targeted)
            candidate, differs = _redraw(redrawn, rng, x[active], best[active], self._share(query), self)
            active, candidate = active[differs], candidate[differs]
            queries[active] += per_step
            if len(active):
                new_margin = margin(victim, candidate, y[active], self.targeted)
                improves = new_margin < best_margin[active]
                best[active[improves]] = candidate[improves]
                best_margin[active[improves]] = new_margin[improves]
        victim.queries = queries * victim.passes
        return best

    def _share(self, query):
        """Share of the image that the square covers at this query."""
        return self.p_init / 2 ** sum(query / self.n_queries > share for share in HALVINGS)
