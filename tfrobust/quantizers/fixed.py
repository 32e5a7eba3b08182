"""Fixed quantized activation: equal steps between -1 and +1."""

import keras
from keras import ops

from tfrobust import checks
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.autodiff import with_pseudo_gradient
from tfrobust.quantizers.base import AbstractBitsQuantizer


def round_to_steps(v, steps, surrogate="ste"):
    """Round `v` in [0, 1] to multiples of `1/steps`; the pseudo-gradient replaces only the rounding."""

    def forward(v):
        return ops.round(v * steps) / steps

    def backward(upstream, v):
        return (upstream * surrogates.round_derivative(surrogate, v * steps, 0, steps),)

    return with_pseudo_gradient(forward, backward)(v)


def fixed(x, bits=2, axis=None, surrogate="ste"):
    """Squash by tanh, scale by the largest magnitude, and round to `2^bits` equal levels.

    Formula: `y = tanh x`; `y' = y / (2 max|y|) + 1/2`; output `2 round((2^n - 1) y') / (2^n - 1) - 1`.
    Backward: the pseudo-derivative stands in for `round` only; `max|y|` carries no gradient.

    Args:
        x: float tensor `[batch, ...]`.
        bits: n, 1 to 8; 2 bits give {-1, -1/3, 1/3, 1}.
        axis: axes of the maximum; None is all but the first (our reading, per image; the paper's literal text is
            the whole tensor: pass every axis).
        surrogate: pseudo-derivative of the rounding.

    Returns:
        Tensor of the shape of `x` with values in [-1, 1]. A map of zeros gives the level that rounding ½ gives.

    Raises:
        ValueError: `bits` outside 1 to 8 or an unknown `surrogate`.

    Example:
        >>> fixed([[-9.0, -0.2, 0.2, 9.0]], bits=1).numpy().tolist()
        [[-1.0, -1.0, 1.0, 1.0]]

    Reference:
        A. S. Rakin, J. Yi, B. Gong, D. Fan, "Defend Deep Neural Networks Against Adversarial Examples via Fixed and
        Dynamic Quantized Activation Functions", arXiv 2018, eqs. 1-3.
    """
    steps = 2 ** checks.bits(bits) - 1
    surrogates.check(surrogate)
    y = ops.tanh(ops.convert_to_tensor(x))
    axes = tuple(range(1, len(y.shape))) if axis is None else axis
    largest = ops.stop_gradient(ops.max(ops.abs(y), axis=axes, keepdims=True))
    largest = ops.where(ops.equal(largest, 0), ops.ones_like(largest), largest)
    return 2 * round_to_steps(y / (2 * largest) + 0.5, steps, surrogate) - 1


@keras.saving.register_keras_serializable("tfrobust")
class FixedQuantizer(AbstractBitsQuantizer):
    """Object form of `fixed`."""

    def __init__(self, bits=2, axis=None, surrogate="ste"):
        super().__init__(bits, surrogate)
        self.axis = axis

    def __call__(self, x, noise=None):
        return fixed(x, self.bits, self.axis, self.surrogate)

    def get_config(self):
        return {"axis": self.axis, **super().get_config()}
