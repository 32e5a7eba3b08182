"""Dynamic quantized activation (DQA): learned thresholds that are also the levels."""

import keras
import numpy as np
from keras import ops

from tfrobust import checks
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.autodiff import with_pseudo_gradient
from tfrobust.quantizers.base import AbstractBitsQuantizer

MOST_COMPARISONS = 7  # up to 3 bits, a comparison per threshold beats a search and a lookup five times over


def uniform_thresholds(bits):
    """Evenly spaced thresholds `t_i = -1 + 2i/m`, `m = 2^bits`: a float32 array of `m - 1`."""
    m = 2 ** checks.bits(bits)
    return (-1 + 2 * np.arange(1, m) / m).astype("float32")


def levels(thresholds):
    """Values of the `m` intervals between thresholds: -1, then `t_{i-1}` (lower half), `t_i` (upper half), then +1.

    Of the `m - 1` thresholds all but the middle one serve as levels.
    """
    middle = thresholds.shape[0] // 2
    ends = ops.ones_like(thresholds[:1])
    return ops.concatenate([-ends, thresholds[:middle], thresholds[middle + 1 :], ends], axis=0)


def dqa(x, thresholds, surrogate="ste"):
    """Replace each element by the level of the interval between thresholds that it falls into.

    Formula: `f(x) = 1/2 sum_j (v_{j+1} - v_j) sgn(x - t_j)` with levels `v` (see `levels`), which is the paper's
    eq. 8 with its terms gathered. Backward (our reading, the paper gives none): `sgn'` is the pseudo-derivative;
    a threshold gets the gradient of its edges and, where it is used as a value, the plain derivative 1.

    Args:
        x: float tensor `[batch, ..., channels]`.
        thresholds: ascending, inside (-1, 1): `[2^n - 1]` for the layer, or `[2^n - 1, channels]`.
        surrogate: pseudo-derivative of `sgn`; `ste` is `1[|u| <= 1]`, `identity` makes df/dx exactly 1.

    Returns:
        Tensor of the shape of `x`, with `2^n` distinct values (the levels, within float rounding).

    Raises:
        ValueError: the number of thresholds is not `2^n - 1` for n = 1 to 8, or an unknown `surrogate`.

    Example:
        >>> dqa([[-2.0, -0.3, 0.3, 2.0]], [-0.5, 0.0, 0.5]).numpy().tolist()
        [[-1.0, -0.5, 0.5, 1.0]]

    Reference:
        A. S. Rakin, J. Yi, B. Gong, D. Fan, "Defend Deep Neural Networks Against Adversarial Examples via Fixed and
        Dynamic Quantized Activation Functions", arXiv 2018, eqs. 8-9.
    """
    surrogates.check(surrogate)
    x = ops.convert_to_tensor(x)
    thresholds = ops.cast(thresholds, x.dtype)
    size = thresholds.shape[0]
    checks.require(
        size in [2**n - 1 for n in range(1, 9)], "there must be 2^n - 1 thresholds, n = 1 to 8.", thresholds=size
    )
    return with_pseudo_gradient(_forward, lambda *args: _backward(surrogate, *args))(x, thresholds)


def _forward(x, thresholds):
    value = levels(thresholds)
    size = thresholds.shape[0]
    if size > MOST_COMPARISONS and len(thresholds.shape) == 1:
        passed = ops.searchsorted(thresholds, ops.reshape(x, (-1,)), side="left")
        return ops.reshape(ops.take(value, passed, axis=0), ops.shape(x))
    # One step up per threshold passed: eq. 8 with sgn replaced by a comparison.
    y = value[0]
    for i in range(size):
        y = y + ops.cast(x > thresholds[i], x.dtype) * (value[i + 1] - value[i])
    return y


def _backward(surrogate, upstream, x, thresholds):
    """Gradients of eq. 8 with respect to `x` and to `thresholds`."""
    value = levels(thresholds)
    jump = value[1:] - value[:-1]
    size = thresholds.shape[0]
    axes = tuple(range(len(x.shape) - len(thresholds.shape) + 1))  # all axes, or all but the channels

    slope = 0
    through_edges = []
    for j in range(size):
        at_edge = surrogates.sign_derivative(surrogate, x - thresholds[j])
        slope = slope + (jump[j] / 2) * at_edge
        through_edges.append(-jump[j] / 2 * ops.sum(upstream * at_edge, axis=axes))

    # Upstream gathered above each threshold; the difference of two neighbours is the sum over one interval.
    above = [ops.sum(ops.where(x > thresholds[j], upstream, 0.0), axis=axes) for j in range(size)]
    middle = size // 2
    through_values = [above[j] - above[j + 1] for j in range(middle)]
    through_values.append(ops.zeros_like(above[0]))
    through_values += [above[j - 1] - above[j] for j in range(middle + 1, size)]

    of_thresholds = ops.stack([edge + used for edge, used in zip(through_edges, through_values, strict=True)])
    return upstream * slope, of_thresholds


@keras.saving.register_keras_serializable("tfrobust")
class DQAQuantizer(AbstractBitsQuantizer):
    """Object form of `dqa`; thresholds default to evenly spaced ones. The layer `DQA` learns them."""

    def __call__(self, x, noise=None, thresholds=None):
        thresholds = uniform_thresholds(self.bits) if thresholds is None else thresholds
        return dqa(x, thresholds, self.surrogate)
