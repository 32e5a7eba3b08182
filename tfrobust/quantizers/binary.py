"""Binary weights, deterministic and stochastic."""

import keras
from keras import ops

from tfrobust.quantizers import surrogates
from tfrobust.quantizers.autodiff import with_pseudo_gradient
from tfrobust.quantizers.base import AbstractQuantizer


def _sign_backward(surrogate, upstream, w):
    return upstream * surrogates.sign_derivative(surrogate, w)


def binary(w, surrogate="ste"):
    """Sign of each weight, with sgn(0) = +1.

    Formula: `+1 if w >= 0 else -1`. Backward: gradient kept where `|w| <= 1`.

    Args:
        w: float tensor, any shape.
        surrogate: pseudo-derivative of `sgn`.

    Returns:
        Tensor of -1 and +1, the shape of `w`.

    Raises:
        ValueError: an unknown `surrogate`.

    Example:
        >>> binary([-0.3, 0.0, 2.0]).numpy().tolist()
        [-1.0, 1.0, 1.0]

    Reference:
        M. Courbariaux, Y. Bengio, J.-P. David, "BinaryConnect: Training Deep Neural Networks with binary weights
        during propagations", NeurIPS 2015.
    """
    surrogates.check(surrogate)

    def forward(w):
        return ops.cast(w >= 0, w.dtype) * 2 - 1

    return with_pseudo_gradient(forward, lambda u, w: (_sign_backward(surrogate, u, w),))(w)


def binary_stochastic(w, noise, surrogate="ste"):
    """Draw +1 with probability `clip((w + 1) / 2, 0, 1)`, else -1, at every call.

    Formula: `+1 if u < clip((w + 1) / 2, 0, 1) else -1`. Backward: gradient kept where `|w| <= 1`.

    Args:
        w: float tensor, any shape.
        noise: u, uniform numbers in [0, 1), the shape of `w`; the number 0.5 gives `sgn(w)` with sgn(0) = -1.
        surrogate: pseudo-derivative of `sgn`.

    Returns:
        Tensor of -1 and +1, the shape of `w`.

    Raises:
        ValueError: an unknown `surrogate`.

    Example:
        >>> binary_stochastic([-1.0, 0.5, 1.0], [0.0, 0.7, 0.99]).numpy().tolist()
        [-1.0, 1.0, 1.0]

    Reference:
        M. Courbariaux, Y. Bengio, J.-P. David, "BinaryConnect: Training Deep Neural Networks with binary weights
        during propagations", NeurIPS 2015.
    """
    surrogates.check(surrogate)

    def forward(w, noise):
        is_plus = noise < ops.clip((w + 1) / 2, 0.0, 1.0)
        return ops.cast(is_plus, w.dtype) * 2 - 1

    def backward(upstream, w, noise):
        return _sign_backward(surrogate, upstream, w), ops.zeros_like(noise)

    w = ops.convert_to_tensor(w)
    return with_pseudo_gradient(forward, backward)(w, ops.cast(noise, w.dtype))


@keras.saving.register_keras_serializable("tfrobust")
class Binary(AbstractQuantizer):
    """Object form of `binary`."""

    precision = 1

    def __init__(self, surrogate="ste"):
        super().__init__(surrogate)

    def __call__(self, x, noise=None):
        return binary(x, self.surrogate)


@keras.saving.register_keras_serializable("tfrobust")
class BinaryStochastic(AbstractQuantizer):
    """Object form of `binary_stochastic`; without noise it is `binary`."""

    precision = 1
    random = True

    def __init__(self, surrogate="ste"):
        super().__init__(surrogate)

    def __call__(self, x, noise=None):
        return binary(x, self.surrogate) if noise is None else binary_stochastic(x, noise, self.surrogate)
