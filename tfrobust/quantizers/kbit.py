"""k-bit fixed-point weights."""

import keras
from keras import ops

from tfrobust import checks
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.autodiff import with_pseudo_gradient
from tfrobust.quantizers.base import AbstractBitsQuantizer


def kbit(w, bits=2, surrogate="ste"):
    """Round to multiples of `2^(1 - bits)` and clip to [-1, 1].

    Formula: `clip(round(w 2^(b-1)) / 2^(b-1), -1, 1)`; b = 2 gives {-1, -1/2, 0, 1/2, 1} (the paper prints the lower
    bound as -0 but names these five values: our reading). Backward: gradient kept where `|w| <= 1`.

    Args:
        w: float tensor, any shape.
        bits: b, 1 to 8.
        surrogate: pseudo-derivative of the rounding.

    Returns:
        Tensor of the shape of `w`, values in [-1, 1].

    Raises:
        ValueError: `bits` outside 1 to 8 or an unknown `surrogate`.

    Example:
        >>> kbit([-3.0, -0.3, 0.2, 0.7], bits=2).numpy().tolist()
        [-1.0, -0.5, 0.0, 0.5]

    Reference:
        Y. Guan, "Adversarial Example Defense and Detection using Quantized Neural Networks with Inference Time
        Dropout", University of Toronto, ECE1784 report, eq. 11.
    """
    scale = 2 ** (checks.bits(bits) - 1)
    surrogates.check(surrogate)

    def forward(w):
        return ops.clip(ops.round(w * scale) / scale, -1.0, 1.0)

    def backward(upstream, w):
        return (upstream * surrogates.round_derivative(surrogate, w * scale, -scale, scale),)

    return with_pseudo_gradient(forward, backward)(w)


@keras.saving.register_keras_serializable("tfrobust")
class KBit(AbstractBitsQuantizer):
    """Object form of `kbit`."""

    def __call__(self, x, noise=None):
        return kbit(x, self.bits, self.surrogate)
