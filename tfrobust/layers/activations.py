"""Quantized activations as Keras layers: `SQA`, `FixedQuantizedActivation`, `DQA`."""

import keras
from keras import ops

from tfrobust import checks
from tfrobust.layers.noise import SavesRandomState, uniform_like
from tfrobust.quantizers import DQAQuantizer, FixedQuantizer, SQAQuantizer

STOCHASTIC = ("always", "train", "never")
SMALLEST_SHARE = 2.0**-20  # keeps DQA's thresholds apart in float32; a power of two leaves the even start exact


class AbstractActivation(keras.layers.Layer):
    """An elementwise layer around one quantizer object, `self.quantizer`."""

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("tfrobust")
class SQA(SavesRandomState, AbstractActivation):
    """Stochastic quantized activation: random rounding to `levels` values between a map's own min and max.

    Formula: see `tfrobust.quantizers.sqa`; the mean over draws is the input, backward is the identity.

    Args:
        levels: number of values, at least 2.
        axis: axes of min and max; None is per image, over height, width and channels (our reading).
        stochastic: `"always"` draws in training and at inference (as the paper measures), `"train"` rounds to
            nearest at inference, `"never"` always rounds to nearest.
        surrogate: pseudo-derivative, see `tfrobust.quantizers.surrogates`.
        seed: integer seed of the layer's random state; None draws one.

    Returns:
        When called on `[batch, ...]`: a tensor of the same shape.

    Raises:
        ValueError: `levels` below 2, or an unknown `stochastic` or `surrogate`.

    Example:
        >>> SQA(levels=3, stochastic="never")(ops.array([[0.0, 0.3, 1.0]])).numpy().tolist()
        [[0.0, 0.5, 1.0]]

    Reference:
        Anonymous, "Stochastic Quantized Activation: To Prevent Overfitting in Fast Adversarial Training",
        submission under review, Algorithm 1.
    """

    def __init__(self, levels=2, axis=None, stochastic="always", surrogate="identity", seed=None, **kwargs):
        super().__init__(**kwargs)
        self.stochastic = checks.one_of(stochastic, "stochastic", STOCHASTIC)
        self.seed = seed
        self.quantizer = SQAQuantizer(levels, axis, surrogate)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        draws = self.stochastic == "always" or (self.stochastic == "train" and training)
        return self.quantizer(inputs, uniform_like(inputs, self.seed_generator) if draws else None)

    def get_config(self):
        own = {"stochastic": self.stochastic, "seed": self.seed}
        return {**super().get_config(), **self.quantizer.get_config(), **own}


@keras.saving.register_keras_serializable("tfrobust")
class FixedQuantizedActivation(AbstractActivation):
    """Fixed quantized activation: tanh, then `2^bits` equal levels between -1 and +1.

    Formula: see `tfrobust.quantizers.fixed`.

    Args:
        bits: 1 to 8.
        axis: axes of the maximum; None is per image (our reading).
        surrogate: pseudo-derivative of the rounding.

    Returns:
        When called on `[batch, ...]`: a tensor of the same shape.

    Raises:
        ValueError: `bits` outside 1 to 8 or an unknown `surrogate`.

    Example:
        >>> FixedQuantizedActivation(bits=1)(ops.array([[-2.0, 2.0]])).numpy().tolist()
        [[-1.0, 1.0]]

    Reference:
        A. S. Rakin, J. Yi, B. Gong, D. Fan, "Defend Deep Neural Networks Against Adversarial Examples via Fixed and
        Dynamic Quantized Activation Functions", arXiv 2018, section 3.1.
    """

    def __init__(self, bits=2, axis=None, surrogate="ste", **kwargs):
        super().__init__(**kwargs)
        self.quantizer = FixedQuantizer(bits, axis, surrogate)
        self.built = True

    def call(self, inputs):
        return self.quantizer(inputs)

    def get_config(self):
        return {**super().get_config(), **self.quantizer.get_config()}


def thresholds(spacing):
    """Ascending thresholds in (-1, 1), `[2^bits - 1, …]`, from the numbers that `DQA` trains, `[2^bits, …]`."""
    share = ops.softmax(ops.cast(spacing, "float32"), axis=0)
    share = share * (1 - share.shape[0] * SMALLEST_SHARE) + SMALLEST_SHARE
    return 2 * ops.cumsum(share, axis=0)[:-1] - 1


@keras.saving.register_keras_serializable("tfrobust")
class DQA(AbstractActivation):
    """Dynamic quantized activation: a staircase whose `2^bits - 1` thresholds are trained and also serve as levels.

    Formula: see `tfrobust.quantizers.dqa`. The layer trains `m = 2^bits` numbers `s`; the thresholds are
    `t_i = -1 + 2 sum_{j <= i} softmax(s)_j` (each share at least 2^-20), so they stay ordered and inside (-1, 1)
    whatever the optimizer does, and start evenly spaced (our reading: the paper states no constraint).

    Args:
        bits: 1 to 8.
        per_channel: learn one set of thresholds per channel (last axis) instead of one per layer.
        surrogate: pseudo-derivative of `sgn`.

    Returns:
        When called on `[batch, ..., channels]`: a tensor of the same shape.

    Raises:
        ValueError: `bits` outside 1 to 8 or an unknown `surrogate`.

    Example:
        >>> DQA(bits=2)(ops.array([[-2.0, -0.3, 0.3, 2.0]])).numpy().tolist()
        [[-1.0, -0.5, 0.5, 1.0]]

    Reference:
        A. S. Rakin, J. Yi, B. Gong, D. Fan, "Defend Deep Neural Networks Against Adversarial Examples via Fixed and
        Dynamic Quantized Activation Functions", arXiv 2018, section 3.2.
    """

    def __init__(self, bits=2, per_channel=False, surrogate="ste", **kwargs):
        super().__init__(**kwargs)
        self.per_channel = per_channel
        self.quantizer = DQAQuantizer(bits, surrogate)

    def build(self, input_shape):
        sets = (input_shape[-1],) if self.per_channel else ()
        self.spacing = self.add_weight(
            name="spacing", shape=(2**self.quantizer.bits, *sets), initializer="zeros", dtype="float32"
        )
        self.built = True

    @property
    def thresholds(self):
        """The thresholds in ascending order, `[2^bits - 1]` or `[2^bits - 1, channels]`."""
        return thresholds(self.spacing)

    def call(self, inputs):
        return self.quantizer(inputs, thresholds=self.thresholds)

    def get_config(self):
        return {**super().get_config(), **self.quantizer.get_config(), "per_channel": self.per_channel}
