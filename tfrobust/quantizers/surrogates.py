"""Pseudo-derivatives, by name, for the two staircases that all quantizers are built from: `sgn` and `round`.

`identity`  the staircase is replaced by the straight line through it.
`ste`       the same, but only where the input is inside the quantizer's range (clipped identity).
`soft`      the derivative of a tempered staircase, steep at each jump and flat between.

An attacker may choose another one than training used: differentiate inside `override(surrogate)`, which touches
neither model nor weights; or set `layer.quantizer.surrogate` for good.

Reference:
    Y. Bengio, N. Leonard, A. Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
    Conditional Computation", arXiv 2013.
"""

import contextlib
import contextvars

from keras import ops

from tfrobust import checks

TEMPERATURE = 4.0  # steepness of `soft`; at 4 the tempered step is 96 % done at half a unit from the jump
SURROGATES = ("ste", "identity", "soft")

_overriding = contextvars.ContextVar("surrogate", default=None)


@contextlib.contextmanager
def override(surrogate):
    """Inside the block every quantizer is differentiated by `surrogate` instead of its own; None changes nothing.

    A compiled function keeps what held while it was traced.
    """
    token = _overriding.set(None if surrogate is None else check(surrogate))
    try:
        yield
    finally:
        _overriding.reset(token)


def check(surrogate):
    """Return `surrogate` if it is a known name, else raise `ValueError`."""
    return checks.one_of(surrogate, "surrogate", SURROGATES)


def sign_derivative(surrogate, u):
    """Pseudo-derivative of `sgn(u)`: 1 (identity), `1[|u| <= 1]` (ste), `k sech^2(k u)` (soft)."""
    surrogate = _overriding.get() or surrogate
    if surrogate == "identity":
        return ops.ones_like(u)
    if surrogate == "ste":
        return ops.cast(ops.abs(u) <= 1, u.dtype)
    return TEMPERATURE * (1 - ops.square(ops.tanh(TEMPERATURE * u)))


def round_derivative(surrogate, v, low, high):
    """Pseudo-derivative of `round(v)` clipped to `[low, high]`: 1, `1[low <= v <= high]`, or tempered jumps."""
    surrogate = _overriding.get() or surrogate
    if surrogate == "identity":
        return ops.ones_like(v)
    inside = ops.cast(ops.logical_and(v >= low, v <= high), v.dtype)
    if surrogate == "ste":
        return inside
    to_jump = v - ops.floor(v) - 0.5  # the jumps of round sit halfway between integers
    # Divided by its mean over a unit, so that the tempered staircase rises by 1 per step like the real one.
    mean = ops.tanh(ops.cast(TEMPERATURE / 2, v.dtype)) * 2 / TEMPERATURE
    return inside * (1 - ops.square(ops.tanh(TEMPERATURE * to_jump))) / mean
