"""DoReFa: low-bit weights, activations and gradients."""

import keras
from keras import ops

from tfrobust import checks
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.autodiff import with_pseudo_gradient
from tfrobust.quantizers.base import AbstractBitsQuantizer, AbstractQuantizer
from tfrobust.quantizers.binary import binary
from tfrobust.quantizers.fixed import round_to_steps


def dorefa_weights(w, bits=2, surrogate="ste"):
    """Normalise weights by tanh and round them to `2^bits` equal levels; one bit is `sgn(w) mean|w|`.

    Formula: k = 1: `sgn(w) mean|w|`; else `2 round((2^k - 1) v) / (2^k - 1) - 1`, `v = tanh w / (2 max|tanh w|) + 1/2`.
    Backward: pseudo-derivative for `round` (for `sgn` with 1 bit: identity, as published); mean and max carry none.

    Args:
        w: float tensor, any shape; mean and maximum are over all of it.
        bits: k, 1 to 8.
        surrogate: pseudo-derivative of the rounding.

    Returns:
        Tensor of the shape of `w`.

    Raises:
        ValueError: `bits` outside 1 to 8 or an unknown `surrogate`.

    Example:
        >>> dorefa_weights([-1.0, 0.5, 1.5], bits=1).numpy().tolist()
        [-1.0, 1.0, 1.0]

    Reference:
        S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients", arXiv 2016.
    """
    bits = checks.bits(bits)
    surrogates.check(surrogate)
    w = ops.convert_to_tensor(w)
    if bits == 1:
        scale = ops.stop_gradient(ops.mean(ops.abs(w)))
        return scale * binary(w, "identity" if surrogate == "ste" else surrogate)
    squashed = ops.tanh(w)
    largest = ops.stop_gradient(ops.max(ops.abs(squashed)))
    largest = ops.where(ops.equal(largest, 0), ops.ones_like(largest), largest)
    return 2 * round_to_steps(squashed / (2 * largest) + 0.5, 2**bits - 1, surrogate) - 1


def dorefa_activations(x, bits=2, surrogate="ste"):
    """Clip to [0, 1] and round to `2^bits` equal levels.

    Formula: `round((2^k - 1) clip(x, 0, 1)) / (2^k - 1)`. Backward: gradient kept where `0 <= x <= 1`.

    Args:
        x: float tensor, any shape.
        bits: k, 1 to 8.
        surrogate: pseudo-derivative of the rounding.

    Returns:
        Tensor of the shape of `x`, values in [0, 1].

    Raises:
        ValueError: `bits` outside 1 to 8 or an unknown `surrogate`.

    Example:
        >>> dorefa_activations([-1.0, 0.4, 0.6, 3.0], bits=1).numpy().tolist()
        [0.0, 0.0, 1.0, 1.0]

    Reference:
        S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients", arXiv 2016.
    """
    steps = 2 ** checks.bits(bits) - 1
    surrogates.check(surrogate)

    def forward(x):
        return ops.round(ops.clip(x, 0.0, 1.0) * steps) / steps

    def backward(upstream, x):
        return (upstream * surrogates.round_derivative(surrogate, x * steps, 0, steps),)

    return with_pseudo_gradient(forward, backward)(x)


def dorefa_gradients(x, noise, bits=6):
    """Pass `x` through; quantize the gradient that comes back to `bits`, per image, with noise before rounding.

    Formula (backward): `2 m (round((2^k - 1) v) / (2^k - 1) - 1/2)` with `m = max|g|` per image and
    `v = clip(g / (2 m) + 1/2 + (u - 1/2) / (2^k - 1), 0, 1)`.

    Args:
        x: float tensor `[batch, ...]`.
        noise: u, uniform numbers in [0, 1), the shape of `x`; the number 0.5 adds none.
        bits: k, 1 to 8.

    Returns:
        `x`, unchanged.

    Raises:
        ValueError: `bits` outside 1 to 8.

    Example:
        >>> dorefa_gradients([[1.5, -2.0]], 0.5).numpy().tolist()
        [[1.5, -2.0]]

    Reference:
        S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients", arXiv 2016.
    """
    steps = 2 ** checks.bits(bits) - 1

    def forward(x, noise):
        return x + ops.zeros_like(x)  # a new tensor: TensorFlow drops the gradient of a passed-through argument

    def backward(upstream, x, noise):
        largest = ops.max(ops.abs(upstream), axis=tuple(range(1, len(x.shape))), keepdims=True)
        scale = 2 * ops.where(ops.equal(largest, 0), ops.ones_like(largest), largest)
        v = ops.clip(upstream / scale + 0.5 + (noise - 0.5) / steps, 0.0, 1.0)
        quantized = scale * (ops.round(v * steps) / steps - 0.5)
        return ops.where(ops.equal(largest, 0), upstream, quantized), ops.zeros_like(noise)

    x = ops.convert_to_tensor(x)
    return with_pseudo_gradient(forward, backward)(x, ops.cast(noise, x.dtype))


@keras.saving.register_keras_serializable("tfrobust")
class DoReFaWeights(AbstractBitsQuantizer):
    """Object form of `dorefa_weights`."""

    def __call__(self, x, noise=None):
        return dorefa_weights(x, self.bits, self.surrogate)


@keras.saving.register_keras_serializable("tfrobust")
class DoReFaActivations(AbstractBitsQuantizer):
    """Object form of `dorefa_activations`."""

    def __call__(self, x, noise=None):
        return dorefa_activations(x, self.bits, self.surrogate)


@keras.saving.register_keras_serializable("tfrobust")
class DoReFaGradients(AbstractQuantizer):
    """Object form of `dorefa_gradients`: the activation keeps its 32 bits, its gradient gets `bits`."""

    precision = 32
    random = True

    def __init__(self, bits=6):
        super().__init__("identity")
        self.bits = checks.bits(bits)

    def __call__(self, x, noise=None):
        return dorefa_gradients(x, 0.5 if noise is None else noise, self.bits)

    def get_config(self):
        return {"bits": self.bits}
