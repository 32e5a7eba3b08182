"""How far images are from success, by logits alone: what black-box attacks descend."""

import numpy as np

ROWS = 2048  # images per forward pass when each attacked image is probed at many points: more only takes memory


def strongest_other(logits, y):
    """`(class, logit)` of the likeliest class other than `y`."""
    rest = np.array(logits)
    rest[np.arange(len(rest)), y] = -np.inf
    return rest.argmax(-1), rest.max(-1)


def margin_of(logits, y, targeted=False):
    """`z_y - max_{j != y} z_j`, or minus that if `targeted`: negative where the attack has what it wants, `[batch]`."""
    gap = logits[np.arange(len(logits)), y] - strongest_other(logits, y)[1]
    return -gap if targeted else gap


def margin(victim, x, y, targeted):
    """`margin_of` one look at the victim."""
    return margin_of(victim.logits(x), y, targeted)


def confirmed(victim, x, y, targeted, seen):
    """`seen [batch]` where a model that is random says the same in the majority of its passes, too."""
    if not (victim.is_random and seen.any()):
        return seen
    decided = victim.decide(x)
    return seen & (decided == y if targeted else decided != y)


def parts(n, probes):
    """Slices of `n` images, so that `probes` points around each make about `ROWS` images at once."""
    size = max(1, ROWS // probes)
    return [slice(start, start + size) for start in range(0, n, size)]
