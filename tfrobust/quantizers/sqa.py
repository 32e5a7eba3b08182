"""Stochastic quantized activation (SQA)."""

import math

import keras
from keras import ops

from tfrobust import checks
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.autodiff import with_pseudo_gradient
from tfrobust.quantizers.base import AbstractQuantizer


def sqa(x, noise, levels=2, axis=None, surrogate="identity"):
    """Quantize each map to `levels` values between its own minimum and maximum, at random.

    Formula: `g = L (x - min) / (max - min)` with `L = levels - 1`; `q = floor(g + u)`, `u ~ U[0, 1)`, which is
    `floor(g) + Bernoulli(g - floor(g))`; output `q / L (max - min) + min`. So `E[output] = x`. Backward: identity.

    Args:
        x: float tensor `[batch, ...]`.
        noise: uniform numbers in [0, 1), the shape of `x`; the number 0.5 rounds to nearest (no randomness).
        levels: number of values, at least 2 (lambda + 1 in the paper's notation).
        axis: axes of the minimum and maximum; None is all but the first, so that an image's result does not
            depend on its batch (our reading: the paper says "the units J of the layer").
        surrogate: pseudo-derivative of the rounding, `identity` in the paper.

    Returns:
        Tensor of the shape of `x`. A constant map is returned unchanged.

    Raises:
        ValueError: `levels` below 2 or an unknown `surrogate`.

    Example:
        >>> sqa([[0.0, 0.3, 0.8, 1.0]], 0.5).numpy().tolist()
        [[0.0, 0.0, 1.0, 1.0]]

    Reference:
        Anonymous, "Stochastic Quantized Activation: To Prevent Overfitting in Fast Adversarial Training",
        submission under review, Algorithm 1 and eq. 8.
    """
    steps = checks.levels(levels) - 1
    surrogates.check(surrogate)

    def scaled(x):
        axes = tuple(range(1, len(x.shape))) if axis is None else axis
        low = ops.min(x, axis=axes, keepdims=True)
        span = ops.max(x, axis=axes, keepdims=True) - low
        span = ops.where(ops.equal(span, 0), ops.ones_like(span), span)
        # Divide by the span, not by span / steps: only so does the maximum land on `steps` exactly, inside the range.
        return (x - low) / span * steps, low, span

    def forward(x, noise):
        g, low, span = scaled(x)
        # g + u may round up to the next integer in float arithmetic, so the top level needs the bound.
        return ops.minimum(ops.floor(g + noise), steps) / steps * span + low

    def backward(upstream, x, noise):
        if surrogate == "identity":
            return upstream, ops.zeros_like(noise)
        g, _, _ = scaled(x)
        return upstream * surrogates.round_derivative(surrogate, g, 0, steps), ops.zeros_like(noise)

    x = ops.convert_to_tensor(x)
    return with_pseudo_gradient(forward, backward)(x, ops.cast(noise, x.dtype))


@keras.saving.register_keras_serializable("tfrobust")
class SQAQuantizer(AbstractQuantizer):
    """Object form of `sqa`; `noise=None` rounds to nearest."""

    random = True

    def __init__(self, levels=2, axis=None, surrogate="identity"):
        super().__init__(surrogate)
        self.levels = checks.levels(levels)
        self.axis = axis

    @property
    def precision(self):
        return math.ceil(math.log2(self.levels))

    def __call__(self, x, noise=None):
        return sqa(x, 0.5 if noise is None else noise, self.levels, self.axis, self.surrogate)

    def get_config(self):
        return {"levels": self.levels, "axis": self.axis, **super().get_config()}
