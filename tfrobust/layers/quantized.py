"""Keras layers whose kernel, input, or both pass through a quantizer: a Keras layer plus one hook."""

import keras
from keras import ops

from tfrobust import quantizers
from tfrobust.layers.noise import SavesRandomState, uniform_like

QUANTIZER_ARGUMENTS = """kernel_quantizer: None, a name such as "binary" or "kbit4", or a quantizer object. The
            float kernel is what trains and what is saved; the quantized one is what runs.
        input_quantizer: the same, for the layer's input.
        seed: integer seed for quantizers that draw; None draws one."""


class QuantizedMixin(SavesRandomState):
    """Holds the two quantizers of a layer and applies them; mixed in front of a Keras layer."""

    def __init__(self, *args, kernel_quantizer=None, input_quantizer=None, seed=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.kernel_quantizer = quantizers.get(kernel_quantizer)
        self.input_quantizer = quantizers.get(input_quantizer)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def quantized(self, quantizer, value):
        """`value` after `quantizer`, which draws its noise from the layer's random state."""
        if quantizer is None:
            return value
        value = ops.convert_to_tensor(value)
        noise = uniform_like(value, self.seed_generator) if quantizer.random else None
        return quantizer(value, noise)

    def finished(self, outputs):
        """`outputs` with the layer's bias and activation, for Keras layers whose kernel has no hook."""
        if self.bias is not None:
            channels_last = getattr(self, "data_format", "channels_last") == "channels_last"
            outputs = ops.add(outputs, self.bias if channels_last else ops.reshape(self.bias, (-1, 1, 1)))
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self):
        def serialize(quantizer):
            return None if quantizer is None else keras.saving.serialize_keras_object(quantizer)

        return {
            **super().get_config(),
            "kernel_quantizer": serialize(self.kernel_quantizer),
            "input_quantizer": serialize(self.input_quantizer),
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("tfrobust")
class QuantConv2D(QuantizedMixin, keras.layers.Conv2D):
    __doc__ = f"""2D convolution with a quantized kernel and input.

    Formula: `conv(q_input(x), q_kernel(w)) + b`.

    Args:
        {QUANTIZER_ARGUMENTS}
        Every argument of `keras.layers.Conv2D` (filters, kernel_size, strides, padding, …).

    Returns:
        When called on `[batch, height, width, channels]`: `[batch, new_height, new_width, filters]`.

    Raises:
        ValueError: an unknown quantizer name.

    Example:
        >>> layer = QuantConv2D(4, 3, kernel_quantizer="binary")
        >>> layer(ops.ones((1, 5, 5, 1))).shape
        TensorShape([1, 3, 3, 4])

    Reference:
        I. Hubara et al., "Binarized Neural Networks", NeurIPS 2016.
    """

    def convolution_op(self, inputs, kernel):
        # Not the `kernel` property: overriding that loses the latent weights on save.
        return super().convolution_op(
            self.quantized(self.input_quantizer, inputs), self.quantized(self.kernel_quantizer, kernel)
        )


@keras.saving.register_keras_serializable("tfrobust")
class QuantDense(QuantizedMixin, keras.layers.Dense):
    __doc__ = f"""Dense layer with a quantized kernel and input.

    Formula: `q_input(x) q_kernel(w) + b`.

    Args:
        {QUANTIZER_ARGUMENTS}
        Every argument of `keras.layers.Dense` (units, activation, use_bias, …).

    Returns:
        When called on `[batch, inputs]`: `[batch, units]`.

    Raises:
        ValueError: an unknown quantizer name.

    Example:
        >>> QuantDense(2, kernel_quantizer="kbit2")(ops.ones((1, 5))).shape
        TensorShape([1, 2])

    Reference:
        I. Hubara et al., "Binarized Neural Networks", NeurIPS 2016.
    """

    def call(self, inputs):
        kernel = self.quantized(self.kernel_quantizer, self.kernel)
        return self.finished(ops.matmul(self.quantized(self.input_quantizer, inputs), kernel))


@keras.saving.register_keras_serializable("tfrobust")
class QuantDepthwiseConv2D(QuantizedMixin, keras.layers.DepthwiseConv2D):
    __doc__ = f"""2D depthwise convolution (each channel by itself) with a quantized kernel and input.

    Formula: `depthwise_conv(q_input(x), q_kernel(w)) + b`.

    Args:
        {QUANTIZER_ARGUMENTS}
        Every argument of `keras.layers.DepthwiseConv2D` (kernel_size, strides, depth_multiplier, …).

    Returns:
        When called on `[batch, height, width, channels]`:
        `[batch, new_height, new_width, channels * depth_multiplier]`.

    Raises:
        ValueError: an unknown quantizer name.

    Example:
        >>> QuantDepthwiseConv2D(3, kernel_quantizer="dorefa_weights4")(ops.ones((1, 5, 5, 2))).shape
        TensorShape([1, 3, 3, 2])

    Reference:
        M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    def call(self, inputs):
        kernel = self.quantized(self.kernel_quantizer, self.kernel)
        inputs = self.quantized(self.input_quantizer, inputs)
        return self.finished(ops.depthwise_conv(inputs, kernel, **_geometry(self)))


@keras.saving.register_keras_serializable("tfrobust")
class QuantSeparableConv2D(QuantizedMixin, keras.layers.SeparableConv2D):
    __doc__ = f"""2D separable convolution with quantized depthwise and pointwise kernels and a quantized input.

    Formula: `conv(depthwise_conv(q_input(x), q_kernel(w)), q_kernel(p)) + b`.

    Args:
        {QUANTIZER_ARGUMENTS}
        Every argument of `keras.layers.SeparableConv2D` (filters, kernel_size, strides, …).

    Returns:
        When called on `[batch, height, width, channels]`: `[batch, new_height, new_width, filters]`.

    Raises:
        ValueError: an unknown quantizer name.

    Example:
        >>> QuantSeparableConv2D(4, 3, kernel_quantizer="binary")(ops.ones((1, 5, 5, 2))).shape
        TensorShape([1, 3, 3, 4])

    Reference:
        F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017.
    """

    def call(self, inputs):
        kernels = (self.quantized(self.kernel_quantizer, w) for w in (self.depthwise_kernel, self.pointwise_kernel))
        inputs = self.quantized(self.input_quantizer, inputs)
        return self.finished(ops.separable_conv(inputs, *kernels, **_geometry(self)))


def _geometry(layer):
    names = ("strides", "padding", "dilation_rate", "data_format")
    return {name: getattr(layer, name) for name in names}
