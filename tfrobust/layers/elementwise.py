"""Any quantizer as a layer of its own: on what passes forwards, or on the gradient that comes back."""

import keras

from tfrobust import quantizers
from tfrobust.layers.noise import SavesRandomState, uniform_like


class AbstractElementwise(SavesRandomState, keras.layers.Layer):
    """A layer that keeps the shape of its input and may draw noise."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("tfrobust")
class QuantizedActivation(AbstractElementwise):
    """A quantizer without weights as an activation.

    Formula: `q(x)`, see `tfrobust.quantizers`.

    Args:
        quantizer: a name such as `"dorefa_activations2"`, or a quantizer object.
        seed: integer seed for a quantizer that draws; None draws one.

    Returns:
        When called on `[batch, ...]`: a tensor of the same shape.

    Raises:
        ValueError: an unknown quantizer name.

    Example:
        >>> QuantizedActivation("dorefa_activations1")(keras.ops.array([[-1.0, 0.4, 0.6, 3.0]])).numpy().tolist()
        [[0.0, 0.0, 1.0, 1.0]]

    Reference:
        S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients", arXiv 2016, for the quantizer that replaces ReLU.
    """

    def __init__(self, quantizer, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.quantizer = quantizers.get(quantizer)

    def call(self, inputs):
        noise = uniform_like(inputs, self.seed_generator) if self.quantizer.random else None
        return self.quantizer(inputs, noise)

    def get_config(self):
        return {**super().get_config(), "quantizer": keras.saving.serialize_keras_object(self.quantizer)}


@keras.saving.register_keras_serializable("tfrobust")
class QuantizedGradient(AbstractElementwise):
    """Passes its input on, and in training quantizes the gradient that comes back.

    At inference the gradient keeps its 32 bits: low-precision gradients belong to training, and an attacker who got
    them too would be hindered by them, as the low-precision paper notes.

    Formula: see `tfrobust.quantizers.dorefa_gradients`.

    Args:
        bits: 1 to 8.
        seed: integer seed of the noise added before rounding; None draws one.

    Returns:
        When called on `[batch, ...]`: that tensor.

    Raises:
        ValueError: `bits` outside 1 to 8.

    Example:
        >>> QuantizedGradient(6)(keras.ops.array([[1.5, -2.0]]), training=True).numpy().tolist()
        [[1.5, -2.0]]

    Reference:
        S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients", arXiv 2016.
    """

    def __init__(self, bits=6, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.gradient_quantizer = quantizers.DoReFaGradients(bits)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        return self.gradient_quantizer(inputs, uniform_like(inputs, self.seed_generator))

    def get_config(self):
        return {**super().get_config(), "bits": self.gradient_quantizer.bits}
