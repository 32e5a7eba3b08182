"""tfmot's description of a layer, with this package's quantizers in front of its 8 bits."""

import keras
import tf_keras

from tfrobust import checks
from tfrobust.export.quiet import import_tfmot
from tfrobust.export.twin import generator, quantized
from tfrobust.quantizers import DQAQuantizer, get

tfmot = import_tfmot()
quantization = tfmot.quantization.keras
BITS_8 = {"num_bits": 8, "per_axis": False}
KERNELS = ("kernel", "depthwise_kernel")  # what layers call it


class _Before8Bits:
    """Mixed in front of a tfmot quantizer of 8 bits: a quantizer of this package first; 8 bits hold its values."""

    def __init__(self, quantizer, seed, **settings):
        super().__init__(**settings)
        self.quantizer, self.seed = get(quantizer), seed

    def build(self, tensor_shape, name, layer):
        weights = super().build(tensor_shape, name, layer)
        weights["seed_generator"] = generator(layer, self.seed, f"{name}_random_state")
        if isinstance(self.quantizer, DQAQuantizer):
            _order_weights(layer)
            shape = (2**self.quantizer.bits,)
            weights["spacing"] = layer.add_weight(f"{name}_spacing", shape=shape, initializer="zeros")
        return weights

    def __call__(self, inputs, training, weights, **kwargs):
        if self.quantizer is not None:
            inputs = quantized(self.quantizer, inputs, weights["seed_generator"], weights.get("spacing"))
        return super().__call__(inputs, training, weights, **kwargs)

    def get_config(self):
        own = {"quantizer": keras.saving.serialize_keras_object(self.quantizer), "seed": self.seed}
        return {**super().get_config(), **own}


def _order_weights(wrapper):
    """List the weights of a wrapped layer before those of its quantizers.

    tfmot lists a bias first or last, as the layer is built before or after its wrapper: a file would load in disorder.
    """
    listed = {id(weight) for weight in wrapper._trainable_weights}
    wrapper._trainable_weights += [w for w in wrapper.layer.trainable_weights if id(w) not in listed]


@tf_keras.utils.register_keras_serializable("tfrobust")
class KernelQuantizer(_Before8Bits, quantization.quantizers.LastValueQuantizer):
    """tfmot quantizer for kernels: one of this package's, then 8 bits of the range that it gives.

    Args:
        quantizer: a name such as `"binary"`, a quantizer object, or None for 8 bits alone.
        seed: integer seed for quantizers that draw; None draws one.
    """

    def __init__(self, quantizer=None, seed=None, **settings):
        super().__init__(quantizer, seed, **{**BITS_8, "symmetric": True, "narrow_range": True, **settings})


@tf_keras.utils.register_keras_serializable("tfrobust")
class ActivationQuantizer(_Before8Bits, quantization.quantizers.MovingAverageQuantizer):
    """tfmot quantizer for activations: one of this package's (DQA's thresholds are trained), then 8 bits.

    Args:
        quantizer: a name such as `"dqa2"`, a quantizer object, or None for 8 bits alone.
        seed: integer seed for quantizers that draw; None draws one.
    """

    def __init__(self, quantizer=None, seed=None, **settings):
        super().__init__(quantizer, seed, **{**BITS_8, "symmetric": False, "narrow_range": False, **settings})


@tf_keras.utils.register_keras_serializable("tfrobust")
class QuantizeConfig(quantization.QuantizeConfig):
    """tfmot's description of a layer: which of this package's quantizers its kernel and its output pass through.

    Args:
        kernel: quantizer of the layer's kernel, by name (`"binary"`, `"kbit4"`) or as an object; None leaves 8 bits,
            `False` no quantization (the only choice for a layer without kernel).
        activation: the same for the layer's output, after its activation function (`"dqa2"`, `"fixed2"`).
        seed: integer seed for quantizers that draw; None draws one.

    Raises:
        ValueError: an unknown quantizer; when tfmot builds the layer, a quantizer for a kernel that it does not have.

    Example:
        >>> annotate = tfmot.quantization.keras.quantize_annotate_layer
        >>> layer = annotate(tf_keras.layers.Dense(10, input_shape=(4,)), QuantizeConfig("binary", "dqa2"))
        >>> with tfmot.quantization.keras.quantize_scope():
        ...     model = tfmot.quantization.keras.quantize_apply(tf_keras.Sequential([layer]))
        >>> len(model.layers[-1].trainable_weights)  # kernel, bias, DQA's thresholds
        3

    Reference:
        B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", CVPR 2018, for the 8 bits.
    """

    def __init__(self, kernel=None, activation=None, seed=None):
        self.kernel = kernel if kernel is False else KernelQuantizer(kernel, seed)
        self.activation = activation if activation is False else ActivationQuantizer(activation, seed)
        self.seed = seed

    def get_weights_and_quantizers(self, layer):
        return [] if self.kernel is False else [(getattr(layer, _kernel_of(layer)), self.kernel)]

    def get_activations_and_quantizers(self, layer):
        del layer
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        if quantize_weights:
            setattr(layer, _kernel_of(layer), *quantize_weights)

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        del layer
        return [] if self.activation is False else [self.activation]

    def get_config(self):
        parts = {"kernel": self.kernel, "activation": self.activation}
        serialize = keras.saving.serialize_keras_object
        own = {name: part if part is False else serialize(part.quantizer) for name, part in parts.items()}
        return {**own, "seed": self.seed}


def _kernel_of(layer):
    """Name of the attribute that is a layer's kernel."""
    found = [name for name in KERNELS if hasattr(layer, name)]
    message = "a layer with a quantized kernel must have one: give QuantizeConfig(kernel=False)."
    checks.require(found, message, layer=layer.name, kind=type(layer).__name__)
    return found[0]
