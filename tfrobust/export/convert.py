"""Conversion of a Keras model to a TFLite flatbuffer of builtin operations."""

import tensorflow as tf

from tfrobust import checks
from tfrobust.export.quiet import quiet
from tfrobust.layers import noise_source

QUANTIZE = (None, "float16", "dynamic", "int8")


def convert(model, quantize=None, calibration=None):
    """Convert a Keras model.

    Args:
        model: `keras.Model` from images to logits.
        quantize: None (float32), `"float16"` weights, `"dynamic"` (int8 weights, float arithmetic), or `"int8"`
            (int8 weights, arithmetic, input and output).
        calibration: images `[n, height, width, channels]` from which int8 ranges are taken.

    Returns:
        Bytes of the file; one image per call.

    Raises:
        ValueError: an unknown `quantize`, int8 without calibration images, or an operation that has no builtin.
    """
    checks.one_of(quantize, "quantize", QUANTIZE)
    if quantize == "int8":
        checks.require(calibration is not None and len(calibration) > 0, "int8 needs calibration images.", n=0)
    module, function = _traced(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    # Builtin operations alone: the default would let Flex operations in, which the stock interpreter cannot run.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        with quiet():
            return converter.convert()
    except Exception as error:  # the converter raises its own private types
        raise ValueError(
            f"every operation of the model must be a TFLite builtin. Received: model={model.name!r} ({error})"
        ) from error


def _traced(model):
    """The model as one function of one image, and a module that owns its variables (so that they are folded in)."""

    def uniform(shape, seed_generator):
        del seed_generator  # keras.random becomes a Flex operation; this becomes the builtin RANDOM_UNIFORM
        return tf.random.uniform(shape)

    module = tf.Module()
    module.held = [getattr(variable, "_value", variable) for variable in model.variables]
    images = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, name="images")
    with noise_source(uniform):
        function = tf.function(lambda images: model(images, training=False), input_signature=[images])
        return module, function.get_concrete_function()
