"""Where a decision changes: margins, the boundary made linear, the step onto it inside the box, a search on a line."""

import numpy as np
from keras import ops

from tfrobust import norms
from tfrobust.attacks.margins import margin_of, strongest_other

ROUNDING = 1e-5  # share of the largest logit: a margin this small may change sign from one pass to the next
SURE = 0.9  # share of passes of a random model: an attack that keeps the nearest of many would be misled by a bare half
TINY = 1e-12  # keeps a division by the size of a vanished gradient finite
SOLVER_STEPS = 50  # more than the piecewise linear equation of a projection has taken in any run
SEARCH_STEPS = 4  # forward passes of the search on a line
SHARES = (0.1, 0.9)  # least and greatest share of the rest of the line that a pass cuts off, or it may stand still


def per_image(values):
    """Shape `[batch]` -> `[batch, 1, 1, 1]`."""
    return np.reshape(values, (-1, 1, 1, 1))


def difference(labels, logits):
    """The loss `z_b - z_a` for labels `[batch, 2]`, each a pair (a, b)."""
    pair = ops.take_along_axis(logits, labels, axis=-1)
    return pair[:, 1] - pair[:, 0]


def margin(logits, y, targeted=False):
    """`margins.margin_of`, less what rounding may change: reached where below 0."""
    return margin_of(logits, y, targeted) + ROUNDING * np.abs(logits).max(-1)


def others(logits, y):
    """All classes other than `y`, the likeliest first, `[batch, classes - 1]`."""
    rest = np.array(logits)
    rest[np.arange(len(rest)), y] = np.inf
    return np.argsort(-rest, axis=-1)[:, 1:]


def sides(logits, y, candidates, targeted):
    """`(source, targets)`, the classes whose boundaries count: from `y` to the candidates, or to `y` if `targeted`."""
    return (strongest_other(logits, y)[0], y[:, None]) if targeted else (y, candidates)


def look(victim, x, y, targeted):
    """`(margin, logits)`; against a random model the margin is -1 where nearly all of the judge's passes are fooled."""
    logits = victim.logits(x)
    if not victim.is_random:
        return margin(logits, y, targeted), logits
    once = victim.seen()
    once.judge_passes = 1
    fooled = sum(((once.decide(x) == y) == targeted).astype(int) for _ in range(victim.judge_passes))
    victim.queries += victim.judge_passes
    return np.where(fooled >= SURE * victim.judge_passes, -1.0, 1.0), logits


def charge(victim, queries, rows):
    """Add the queries that `victim` has counted since the last charge to those of the images in `rows`."""
    queries[rows] += victim.queries
    victim.queries = 0


def linearised(victim, x, source, targets):
    """The boundaries between class `source` and each of `targets`, to first order at `x`.

    Args:
        victim: a `Victim`.
        x: images, `[batch, height, width, channels]`.
        source: a class per image, `[batch]`.
        targets: classes, `[batch, k]`.

    Returns:
        `(z_target - z_source [batch, k], its gradients [batch, k, height, width, channels])`.
    """
    classes = np.concatenate([source[:, None], targets], axis=1)
    if targets.shape[1] == 1:  # one backward pass instead of two
        value, _, gradient = victim.loss_and_gradient(difference, x, classes)
        return value[:, None], gradient[:, None]
    logits, gradients = victim.class_gradients(x, classes)
    chosen = np.take_along_axis(logits, classes, axis=1)
    return chosen[:, 1:] - chosen[:, :1], gradients[:, 1:] - gradients[:, :1]


def nearest(values, gradients, norm):
    """For each image the hyperplane `value + gradient d = 0` that would be nearest if there were no box.

    Args:
        values: `[batch, k]`.
        gradients: `[batch, k, height, width, channels]`.
        norm: `numpy.inf` or 2.

    Returns:
        `(value [batch], gradient [batch, height, width, channels], dual norm of the gradient [batch])`.
    """
    flat = gradients.reshape(*gradients.shape[:2], -1)
    dual = np.abs(flat).sum(-1) if norm == np.inf else np.sqrt(np.einsum("bkp,bkp->bk", flat, flat))
    dual = np.maximum(dual, TINY)
    rows, chosen = np.arange(len(values)), (np.abs(values) / dual).argmin(-1)
    return values[rows, chosen], gradients[rows, chosen], dual[rows, chosen]


def step_onto(x, gap, gradient, bounds, norm):
    """Least step d inside the box with `gradient d = gap`, or as far that way as the box allows.

    Formula: `|d_i| = min(m s_i, room_i)`, s_i = |g_i| in L2 and 1 in Linf, room_i the way to the bound; the multiplier
    m solves `sum |g_i| |d_i| = |gap|`, which is concave and piecewise linear in m, so Newton's steps from 0 never
    overshoot and end.

    Args:
        x: images inside the bounds, `[batch, height, width, channels]`.
        gap: `[batch]`.
        gradient: of the shape of `x`.
        bounds: lowest and highest pixel value.
        norm: `numpy.inf` or 2.

    Returns:
        d, of the shape of `x`.
    """
    towards = gradient * per_image(np.sign(gap))
    size = np.abs(gradient).reshape(len(x), -1)
    room = np.where(towards > 0, bounds[1] - x, x - bounds[0]).reshape(size.shape)
    speed = size if norm == 2 else (size > 0).astype(size.dtype)
    length = np.minimum(_multiplier(size, speed, room, np.abs(gap))[:, None] * speed, room)
    return np.sign(towards) * length.reshape(x.shape)


def shortened(step, longest, norm):
    """`step`, scaled where it is longer than `longest` `[batch]`."""
    share = longest / np.maximum(norms.get(norm).distance(step), TINY)
    return step * per_image(np.minimum(share, 1)).astype(step.dtype)


def _multiplier(size, speed, room, wanted):
    """m with `sum_i size_i min(m speed_i, room_i) = wanted`, or one that uses up all room."""
    moves = speed > 0
    reach = np.divide(room, speed, out=np.zeros_like(room), where=moves)  # m at which a pixel is at its bound
    slope, height = size * speed, size * room
    multiplier = np.zeros(len(size), size.dtype)
    for _ in range(SOLVER_STEPS):
        free = reach > multiplier[:, None]
        rest = wanted - np.where(free, 0, height).sum(-1)
        new = np.minimum(rest / np.maximum(np.where(free, slope, 0).sum(-1), TINY), reach.max(-1))
        if (new <= multiplier * (1 + 1e-6)).all():
            break
        multiplier = np.maximum(multiplier, new)
    return multiplier


def search_line(victim, x, x_adv, y, targeted, queries, confidence=0.0):
    """Move adversarial `x_adv` along the line towards `x` as far as it stays adversarial, by regula falsi.

    Left as they are: images that are not adversarial, and all images of a random model, whose boundary is blurred.

    Args:
        victim: a `Victim`.
        x: clean images, `[batch, height, width, channels]`.
        x_adv: images found, of the shape of `x`.
        y: labels, `[batch]`.
        targeted: whether `y` are labels to reach.
        queries: queries per image so far, `[batch]`, which this adds to.
        confidence: margin beyond the boundary that is to be kept, in logits.

    Returns:
        Images of the shape of `x`.
    """
    if victim.is_random:
        return x_adv

    def excess(images, rows):
        left = look(victim, images, y[rows], targeted)[0] + confidence
        charge(victim, queries, rows)
        return left

    every = np.arange(len(x))
    before, after = excess(x, every), excess(x_adv, every)
    low, high = np.zeros(len(x), "float32"), np.ones(len(x), "float32")
    rows = np.flatnonzero((after < 0) & (before > 0))
    for _ in range(SEARCH_STEPS if len(rows) else 0):
        share = before[rows] / (before[rows] - after[rows])
        middle = low[rows] + np.clip(share, *SHARES) * (high[rows] - low[rows])
        there = excess(_between(x[rows], x_adv[rows], middle), rows)
        over = there < 0
        high[rows[over]], after[rows[over]] = middle[over], there[over]
        low[rows[~over]], before[rows[~over]] = middle[~over], there[~over]
    return _between(x, x_adv, high)


def _between(x, x_adv, share):
    return x + per_image(share) * (x_adv - x)
