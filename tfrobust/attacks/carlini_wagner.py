"""Carlini and Wagner's attack in L2: the least distance by gradient descent and a binary search."""

import dataclasses
import functools

import numpy as np
from keras import ops

from tfrobust import checks, losses
from tfrobust.attacks import boundary
from tfrobust.attacks.base import AbstractDistanceAttack

INSIDE = 0.99  # tanh at a pixel that is at its bound: there it is not yet flat; what goes beyond is clipped
MOMENTS = (0.9, 0.999)  # Adam's decay rates
# An image leaves a search step when a tenth of its steps has not brought the loss below this share of what it was.
# Far from success the loss falls slowly, so that more patience pays there.
PROGRESS, PROGRESS_BEFORE_SUCCESS = 0.995, 0.9999
# Few steps must be long ones: on `lenet_dqa2` 5 x 10 steps of 0.05 fool 9 % of images, of 0.4 all. Many short steps end
# nearer.
WAY, RATES = 4.0, (0.01, 0.4)  # about how far w may travel in a search step; least and greatest rate
SETTLED = 0.95  # the search over c ends where its bounds are nearer than this: the distance does not change any more


@functools.cache  # one object each: attacks compile a graph for each loss that they meet
def hinge(confidence, targeted):
    """The loss `max(m + kappa, 0)`, m the margin by which the label is kept, or missed if `targeted`.

    Args:
        confidence: kappa, in logits, at least 0.
        targeted: whether labels are to be reached.

    Returns:
        A loss `(labels [batch], logits [batch, classes]) -> [batch]`.

    Example:
        >>> float(hinge(1.0, False)([1], [[0.5, 2.0]])[0])
        2.5
    """

    def loss(labels, logits):
        kept = losses.margin(labels, logits)
        return ops.maximum((-kept if targeted else kept) + confidence, 0.0)

    return loss


@dataclasses.dataclass(frozen=True, kw_only=True)
class CarliniWagnerL2(AbstractDistanceAttack):
    """Carlini and Wagner's L2 attack: Adam on a variable that cannot leave the box, and a search for the weight c.

    Formula: `x' = clip(centre + half tanh(w) / 0.99)`, w minimises
    `||x' - x||^2 + c max(z_y - max_{j != y} z_j + kappa, 0)`; for each image c grows tenfold until the image is
    adversarial and is then searched by halving. (The paper's 0.999999 leaves tanh flat at black and white pixels.)

    A search step starts from the nearest adversarial image so far, or, while there is none, where the last one ended.
    Powers of ten far below what the model's slope at the image asks for are skipped. At the end the line back to x is
    searched for the boundary.

    Args:
        binary_search_steps: most values of c per image.
        max_iter: Adam's steps per value of c.
        learning_rate: Adam's, in units of w; None takes 4 / max_iter, at least 0.01 and at most 0.4.
        initial_const: least first value of c, above 0.
        confidence: kappa, in logits, at least 0: only images beyond the boundary by so much count.
        abort_early: whether an image leaves a search step when its loss has stopped falling.
        eps, norm (2 only), clip_min, clip_max, targeted, eot, seed: see `AbstractDistanceAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range, or a norm other than 2.

    Example:
        >>> str(CarliniWagnerL2(eps=1.5).threat)
        'L2 1.5 on [0,1]'

    Reference:
        N. Carlini, D. Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P 2017; Adam: D. Kingma,
        J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    """

    binary_search_steps: int = 9
    max_iter: int = 100
    learning_rate: float | None = None
    initial_const: float = 0.01
    confidence: float = 0.0
    abort_early: bool = True

    def __post_init__(self):
        super().__post_init__()
        checks.require(self.norm == 2, "CarliniWagnerL2 works in L2 only: norm must be 2.", norm=self.norm)
        checks.count(self.binary_search_steps, "binary_search_steps")
        checks.count(self.max_iter, "max_iter")
        if self.learning_rate is not None:
            checks.eps(self.learning_rate, "learning_rate")
        checks.eps(self.confidence, "confidence")
        message = "initial_const must be finite and above 0."
        checks.require(0 < self.initial_const < np.inf, message, initial_const=self.initial_const)

    def cost(self, eot=1):
        return self.binary_search_steps * self.max_iter * eot

    @property
    def rate(self):
        """Adam's rate: the one given, or what suits the number of steps."""
        if self.learning_rate is not None:
            return self.learning_rate
        return float(np.clip(WAY / self.max_iter, *RATES))

    def propose(self, victim, x, y, rng):
        del rng
        search = _Search(self, victim, x, y)
        search.skip_hopeless()
        for _ in range(self.binary_search_steps):
            rows = search.open_rows()
            if len(rows) == 0:
                break
            search.descend(rows)
            search.narrow(rows)
        found = boundary.search_line(victim, x, search.best, y, self.targeted, search.queries, self.confidence)
        victim.queries = search.queries
        return found


class _Search:
    """The nearest adversarial images of a batch so far, and the bounds on each image's weight c."""

    def __init__(self, attack, victim, x, y):
        self.attack, self.victim, self.x, self.y = attack, victim, x, y
        self.hinge = hinge(attack.confidence, attack.targeted)
        self.centre = np.float32((attack.clip_max + attack.clip_min) / 2)
        self.reach = np.float32((attack.clip_max - attack.clip_min) / 2 / INSIDE)
        self.start = np.arctanh((x - self.centre) / self.reach)
        self.best, self.squared = np.array(x), np.full(len(x), np.inf)  # squared distance of the best
        self.const = np.full(len(x), attack.initial_const, "float32")
        self.low, self.high = np.zeros(len(x)), np.full(len(x), np.inf)
        self.is_over = np.zeros(len(x), bool)  # adversarial in the latest tenth of the steps, so c is great enough
        self.queries = np.zeros(len(x), "int64")

    def skip_hopeless(self):
        """Raise c tenfold while it stays below what a linear model needs, `2 hinge / ||gradient||^2`."""
        value, _, gradient = self.victim.loss_and_gradient(self.hinge, self.x, self.y)
        left, _ = boundary.look(self.victim, self.x, self.y, self.attack.targeted)
        boundary.charge(self.victim, self.queries, slice(None))
        needed = 2 * value / np.maximum(np.square(gradient).sum(axis=(1, 2, 3)), boundary.TINY)
        tens = np.floor(np.log10(np.maximum(needed / self.const, 1)))
        self.const *= np.float32(10) ** np.minimum(tens, self.attack.binary_search_steps)
        self.high[left < 0] = self.low[left < 0] = 0.0  # nothing to search: adversarial already

    def open_rows(self):
        """Images whose c is not settled."""
        return np.flatnonzero(self.low < SETTLED * self.high)

    def narrow(self, rows):
        """Move the bounds on c by what the last search step has found, and choose the next c."""
        const, over = self.const[rows], self.is_over[rows]
        self.high[rows[over]], self.low[rows[~over]] = const[over], const[~over]
        low, high = self.low[rows], self.high[rows]
        self.const[rows] = np.where(np.isinf(high), 10 * const, (low + high) / 2)

    def descend(self, rows):
        """One search step: Adam on w, from which images leave when their loss has stopped falling."""
        attack = self.attack
        w = self.start[rows]
        first, second = np.zeros_like(w), np.zeros_like(w)
        lowest = before = np.full(len(rows), np.inf)
        period = -(-attack.max_iter // 10)
        for t in range(1, attack.max_iter + 1):
            if (t - 1) % period == 0:  # the start is adversarial whatever c is
                self.is_over[rows] = False
            loss, gradient = self._look(w, rows)
            first += (1 - MOMENTS[0]) * (gradient - first)
            second += (1 - MOMENTS[1]) * (gradient * gradient - second)
            rate = attack.rate * np.sqrt(1 - MOMENTS[1] ** t) / (1 - MOMENTS[0] ** t)
            w -= np.float32(rate) * first / (np.sqrt(second) + 1e-8)
            lowest = np.minimum(lowest, loss)
            if attack.abort_early and t % period == 0:
                goes_on = lowest < self._patience(rows) * before
                self._leave(rows[~goes_on], w[~goes_on])
                rows, w, first, second, lowest = (part[goes_on] for part in (rows, w, first, second, lowest))
                before = lowest
                if len(rows) == 0:
                    break
        self._leave(rows, w)

    def _patience(self, rows):
        return np.where(np.isinf(self.squared[rows]), PROGRESS_BEFORE_SUCCESS, PROGRESS)

    def _leave(self, rows, w):
        """Let images that were never adversarial start the next search step where this one ends."""
        never = np.isinf(self.squared[rows])
        self.start[rows[never]] = w[never]

    def _look(self, w, rows):
        """Objective and its gradient at w; keeps the images that are the nearest yet."""
        tanh = np.tanh(w)
        images = np.clip(self.centre + self.reach * tanh, self.attack.clip_min, self.attack.clip_max)
        value, logits, gradient = self.victim.loss_and_gradient(self.hinge, images, self.y[rows])
        delta = images - self.x[rows]
        squared = np.einsum("bhwc,bhwc->b", delta, delta)
        self._keep(w, images, squared, logits, rows)
        boundary.charge(self.victim, self.queries, rows)
        const = self.const[rows]
        slope = 2 * delta + boundary.per_image(const) * gradient
        return squared + const * value, slope * (self.reach * (1 - tanh * tanh))

    def _keep(self, w, images, squared, logits, rows):
        targeted = self.attack.targeted
        over = boundary.margin(logits, self.y[rows], targeted) + self.attack.confidence < 0
        if self.victim.is_random and over.any():  # one lucky draw among hundreds is no success
            over[over] = boundary.look(self.victim, images[over], self.y[rows[over]], targeted)[0] < 0
        self.is_over[rows] |= over
        nearer = over & (squared < self.squared[rows])
        new = rows[nearer]
        self.best[new], self.start[new], self.squared[new] = images[nearer], w[nearer], squared[nearer]
