"""The papers' formulas in numpy, written as they are printed and without the package: what the tests compare with."""

import numpy as np


def sign(x):
    """sgn with sgn(0) = +1."""
    return np.where(x >= 0, 1.0, -1.0)


def sign_derivative(surrogate, u):
    """sgn' under each surrogate; `soft` differentiates tanh(4 u)."""
    return {"identity": np.ones_like(u), "ste": np.abs(u) <= 1, "soft": 4 / np.cosh(4 * u) ** 2}[surrogate]


def round_derivative(surrogate, v, low, high):
    """round' under each surrogate; `soft` peaks at the halves and has mean 1 over a unit."""
    inside = (v >= low) & (v <= high)
    from_half = np.abs(v - np.floor(v) - 0.5)
    soft = inside / np.cosh(4 * from_half) ** 2 / (np.tanh(2) / 2)
    return {"identity": np.ones_like(v), "ste": inside, "soft": soft}[surrogate]


def per_image(reduce, x):
    return reduce(x, axis=tuple(range(1, x.ndim)), keepdims=True)


def sqa_scaled(x, levels):
    """g = (levels - 1) (h - min h) / (max h - min h)."""
    low, high = per_image(np.min, x), per_image(np.max, x)
    return (levels - 1) * (x - low) / (high - low)


def sqa(x, noise, levels):
    """floor(g) + Bernoulli(g - floor(g)), scaled back; the Bernoulli draw is 1 where the noise reaches 1 - p."""
    low, high = per_image(np.min, x), per_image(np.max, x)
    g = sqa_scaled(x, levels)
    drawn = np.floor(g) + (noise >= 1 - (g - np.floor(g)))
    return drawn / (levels - 1) * (high - low) + low


def sqa_backward(surrogate, x, levels):
    return round_derivative(surrogate, sqa_scaled(x, levels), 0, levels - 1)


def fixed_scaled(x):
    """y' = tanh x / (2 max |tanh x|) + 1/2."""
    y = np.tanh(x)
    return y / (2 * per_image(np.max, np.abs(y))) + 0.5


def fixed(x, bits):
    steps = 2**bits - 1
    return 2 * np.round(steps * fixed_scaled(x)) / steps - 1


def fixed_backward(surrogate, x, bits):
    steps = 2**bits - 1
    largest = per_image(np.max, np.abs(np.tanh(x)))
    return round_derivative(surrogate, fixed_scaled(x) * steps, 0, steps) * (1 - np.tanh(x) ** 2) / largest


def dqa_value(i, t):
    """Value of the i-th interval (from 1) between thresholds t_1 … t_{m-1}, here `t[0]` … `t[m-2]`."""
    m = len(t) + 1
    if i == 1:
        return -1.0
    if i == m:
        return 1.0
    return t[i - 2] if i <= m // 2 else t[i - 1]


def dqa(x, t):
    """The interval is found by counting the thresholds below x."""
    values = np.array([dqa_value(i, t) for i in range(1, len(t) + 2)])
    return values[(x[..., None] > t).sum(-1)]


def dqa_backward(surrogate, x, t):
    """Each edge contributes half its jump, times sgn'."""
    values = np.array([dqa_value(i, t) for i in range(1, len(t) + 2)])
    return (np.diff(values) / 2 * sign_derivative(surrogate, x[..., None] - t)).sum(-1)


def dqa_eq8(x, t):
    """Eq. 8 term by term; `T[i]` is the paper's t_i."""
    m, T = len(t) + 1, dict(enumerate(t, start=1))
    f = np.sign(x - T[m - 1]) - np.sign(T[1] - x)
    for i in range(m // 2 + 1, m):
        f = f + T[i] * (np.sign(T[i] - x) + np.sign(x - T[i - 1]))
    for i in range(2, m // 2 + 1):
        f = f + T[i - 1] * (np.sign(T[i] - x) + np.sign(x - T[i - 1]))
    return 0.5 * f


def dqa_eq8_thresholds(x, t, upstream):
    """Derivative of `sum(upstream * eq. 8)` by each t_i: the product rule term by term, with sgn'(u) = 1[|u| <= 1]."""
    m, T = len(t) + 1, dict(enumerate(t, start=1))
    df = {i: np.zeros_like(x) for i in T}
    df[m - 1] = df[m - 1] - (np.abs(x - T[m - 1]) <= 1)
    df[1] = df[1] - (np.abs(T[1] - x) <= 1)
    for i in range(2, m):
        level = i if i > m // 2 else i - 1
        df[level] = df[level] + np.sign(T[i] - x) + np.sign(x - T[i - 1])
        df[i] = df[i] + T[level] * (np.abs(T[i] - x) <= 1)
        df[i - 1] = df[i - 1] - T[level] * (np.abs(x - T[i - 1]) <= 1)
    return np.array([(upstream * 0.5 * df[i]).sum() for i in sorted(T)])


def uniform_thresholds(bits):
    m = 2**bits
    return np.array([-1 + 2 * i / m for i in range(1, m)])


def binary_stochastic(w, noise):
    """+1 with probability clip((w + 1)/2, 0, 1)."""
    return np.where(noise < np.clip((w + 1) / 2, 0, 1), 1.0, -1.0)


def kbit(w, bits):
    return np.clip(np.round(w * 2 ** (bits - 1)) / 2 ** (bits - 1), -1, 1)


def kbit_backward(surrogate, w, bits):
    scale = 2 ** (bits - 1)
    return round_derivative(surrogate, w * scale, -scale, scale)


def dorefa_weights(w, bits):
    if bits == 1:
        return sign(w) * np.abs(w).mean()
    steps = 2**bits - 1
    v = np.tanh(w) / (2 * np.abs(np.tanh(w)).max()) + 0.5
    return 2 * np.round(steps * v) / steps - 1


def dorefa_weights_backward(surrogate, w, bits):
    if bits == 1:  # published with the identity where the other quantizers clip
        return np.abs(w).mean() * sign_derivative("identity" if surrogate == "ste" else surrogate, w)
    steps, largest = 2**bits - 1, np.abs(np.tanh(w)).max()
    v = np.tanh(w) / (2 * largest) + 0.5
    return round_derivative(surrogate, v * steps, 0, steps) * (1 - np.tanh(w) ** 2) / largest


def dorefa_activations(x, bits):
    steps = 2**bits - 1
    return np.round(steps * np.clip(x, 0, 1)) / steps


def dorefa_activations_backward(surrogate, x, bits):
    steps = 2**bits - 1
    return round_derivative(surrogate, x * steps, 0, steps)


def dorefa_gradients(g, noise, bits):
    """2 m (round((2^k - 1) v) / (2^k - 1) - 1/2) with m = max |g| per image and N(k) = (u - 1/2) / (2^k - 1)."""
    steps, largest = 2**bits - 1, per_image(np.max, np.abs(g))
    v = np.clip(g / (2 * largest) + 0.5 + (noise - 0.5) / steps, 0, 1)
    return 2 * largest * (np.round(steps * v) / steps - 0.5)
