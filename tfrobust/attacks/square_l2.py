"""What the Square attack proposes in L2: bumps on a grid, then change moved from one window to another."""

import functools

import numpy as np

TILES = 5  # per side of the image at the start
SMALLEST = 3  # side of the smallest window: a single pixel has no bump
TINY = 1e-12  # instead of a length of 0


def tiles(rng, shape, eps):
    """First change in L2: a grid of bumps with a random sign per tile and channel, of length `eps`."""
    n, height, width, channels = shape
    side = max(1, min(height, width) // TILES)
    rows, columns = height // side, width // side
    signs = rng.choice(np.float32([-1, 1]), size=(n, rows, 1, columns, 1, channels))
    grid = (signs * bump(side)[:, None, :, None]).reshape(n, rows * side, columns * side, channels)
    change = np.zeros(shape, "float32")
    change[:, : rows * side, : columns * side] = grid
    return np.float32(eps) * change / np.sqrt(np.square(change).sum(axis=(1, 2, 3), keepdims=True))


def with_windows(rng, x, current, share, attack):
    """`current` with the change of one random window per image moved into another, where a bump is added.

    Formula: for windows W1, W2 and each of C channels: `t = rho eta + v_W1 / ||v_W1||`, v the change, eta the bump,
    rho a random sign; then `v_W2 = 0`, `v_W1 = t / ||t|| sqrt(||v_{W1 or W2}||^2 + (eps^2 - ||v||^2) / C)`: what W2
    gave up, or was unused, goes to W1.

    Args:
        rng: `numpy.random.Generator`.
        x: clean images, `[batch, height, width, channels]`.
        current: the attack's images so far, of the same shape.
        share: share of the image that a window covers.
        attack: its `eps` and bounds.

    Returns:
        Images of the shape of `x`, inside the ball and the bounds.

    Reference:
        M. Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search",
        ECCV 2020, section 3.3.
    """
    n, height, width, channels = x.shape
    side = _odd(np.sqrt(share * height * width), min(height, width))
    change = current - x
    unused = np.maximum(attack.eps**2 - np.square(change).sum(axis=(1, 2, 3)), 0)
    grown, emptied = (_window(rng, n, height, width, side) for _ in range(2))
    eta = bump(side)[None]
    eta = np.where(rng.random((n, 1, 1)) < 0.5, eta, eta.swapaxes(1, 2))[..., None]  # [n, side, side, 1]
    signs = rng.choice(np.float32([-1, 1]), size=(n, 1, 1, channels))
    inside = change[grown]
    pattern = signs * eta + inside / np.maximum(_length(inside), TINY)
    before = np.square(change).sum(axis=(1, 2))  # [n, channels]
    change[emptied] = 0
    change[grown] = 0
    given_up = before - np.square(change).sum(axis=(1, 2))
    budget = np.sqrt(np.maximum(given_up, 0) + unused[:, None] / channels)
    change[grown] = pattern / np.maximum(_length(pattern), TINY) * budget[:, None, None, :]
    return np.clip(x + change, attack.clip_min, attack.clip_max)


@functools.cache
def bump(side):
    """Two bumps of opposite sign that fill a square, of length 1, `[side, side]`.

    Formula: in the rectangle of `h1 >= h2`, n = floor(h1 / 2), a point k steps inside the n-th ring around the
    centre has `sum_{i = 0..k} 1 / (n + 1 - i)^2`. The square is such a rectangle beside the negative of another.

    Example:
        >>> bump(1).tolist()
        [[1.0]]
    """
    left = side // 2
    halves = [-_pyramid(side, side - left)] + ([_pyramid(side, left)] if left else [])
    square = -np.concatenate(halves, axis=1)
    return (square / np.sqrt(np.square(square).sum())).astype("float32")


def _pyramid(height, width):
    n = height // 2
    rings = n - np.maximum(np.abs(np.arange(height)[:, None] - n), np.abs(np.arange(width) - width // 2))
    levels = np.cumsum(1.0 / (n + 1 - np.arange(n + 1)) ** 2)
    return levels[rings]


def _odd(side, most):
    """The odd side nearest above, which has a centre; at most what fits."""
    return min(max(int(round(side)), SMALLEST) | 1, most)


def _window(rng, n, height, width, side):
    """Index of one random window per image, giving `[n, side, side, channels]`."""
    rows = rng.integers(0, height - side + 1, size=(n, 1)) + np.arange(side)
    columns = rng.integers(0, width - side + 1, size=(n, 1)) + np.arange(side)
    return np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]


def _length(values):
    """Length over each channel of a window, `[n, 1, 1, channels]`."""
    return np.sqrt(np.square(values).sum(axis=(1, 2), keepdims=True))
