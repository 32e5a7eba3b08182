"""Layers around the network proper: input standardisation and dropout that stays on."""

import keras
from keras import ops

from tfrobust import checks
from tfrobust.layers.noise import SavesRandomState, dropout_mask_like, uniform_like


@keras.saving.register_keras_serializable("tfrobust")
class Standardize(keras.layers.Layer):
    """Shift and scale pixels inside the model, so that attacks always work on [0, 1].

    Formula: `(x - mean) / std` per channel.

    Args:
        mean: a number, or one per channel, in pixel units.
        std: the same, above 0.

    Returns:
        When called on `[batch, height, width, channels]`: a tensor of the same shape.

    Raises:
        ValueError: `std` is not above 0.

    Example:
        >>> Standardize(0.5, 0.25)(ops.ones((1, 1, 1, 1))).numpy().item()
        2.0

    Reference:
        Y. LeCun et al., "Efficient BackProp", Neural Networks: Tricks of the Trade, 1998.
    """

    def __init__(self, mean, std, **kwargs):
        super().__init__(**kwargs)
        self.mean = [float(value) for value in ops.convert_to_numpy(mean).reshape(-1)]
        self.std = [float(value) for value in ops.convert_to_numpy(std).reshape(-1)]
        checks.require(min(self.std) > 0, "std must be above 0.", std=std)
        self.built = True

    def call(self, inputs):
        mean, std = (ops.cast(ops.convert_to_tensor(value), inputs.dtype) for value in (self.mean, self.std))
        return (inputs - mean) / std

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "std": self.std}


def drop(x, noise, rate):
    """Dropout by given noise.

    Formula: `x m / (1 - rate)`, `m = 1` where `noise >= rate`, else 0.

    Args:
        x: float tensor, any shape.
        noise: uniform numbers in [0, 1), the shape of `x`.
        rate: share of units dropped, in [0, 1).

    Returns:
        Tensor of the shape of `x`.

    Example:
        >>> drop(ops.ones(2), ops.array([0.4, 0.6]), 0.5).numpy().tolist()
        [0.0, 2.0]

    Reference:
        N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014.
    """
    return x * ops.cast(noise >= rate, x.dtype) / (1 - rate)


@keras.saving.register_keras_serializable("tfrobust")
class MCDropout(SavesRandomState, keras.layers.Layer):
    """Dropout that also drops at inference: each pass is one sample of a Monte-Carlo estimate.

    Formula: `x m / (1 - rate)`, `m = 1` with probability `1 - rate`, else 0.

    Args:
        rate: share of units dropped, in [0, 1).
        seed: integer seed of the layer's random state; None draws one.

    Returns:
        When called on `[batch, ...]`: a tensor of the same shape, random in training and at inference.

    Raises:
        ValueError: `rate` outside [0, 1).

    Example:
        >>> sorted(set(MCDropout(0.5, seed=0)(ops.ones((1, 100))).numpy().ravel().tolist()))
        [0.0, 2.0]

    Reference:
        Y. Gal, Z. Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        checks.require(0 <= rate < 1, "rate must lie in [0, 1).", rate=rate)
        self.rate = float(rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs):
        if self.rate == 0:
            return inputs
        mask = dropout_mask_like(inputs, self.rate)
        if mask is not None:
            return inputs * mask
        return drop(inputs, uniform_like(inputs, self.seed_generator), self.rate)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
