"""Conversion of a Keras model to a TFLite flatbuffer of builtin operations."""

import keras
import tensorflow as tf

from tfrobust import checks
from tfrobust.export import flatbuffer
from tfrobust.export.drawn import with_exact_draws
from tfrobust.export.pack import pack
from tfrobust.export.quiet import quiet
from tfrobust.layers import noise_source
from tfrobust.layers.graph import layers_of

QUANTIZE = (None, "float16", "dynamic", "int8", "int8x16", "packed")
INTEGERS = {  # type of input and output, and the operations that compute with it
    "int8": (tf.int8, tf.lite.OpsSet.TFLITE_BUILTINS_INT8),
    "int8x16": (tf.int16, tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8),
}


def convert(model, quantize=None, calibration=None):
    """Convert a Keras model.

    What does not depend on the image is computed here and now: the file holds quantized kernels and thresholds, and
    neither latent weights nor the operations that quantize them.

    Args:
        model: `keras.Model` from images to logits.
        quantize: see `to_tflite`.
        calibration: images `[n, height, width, channels]` from which the ranges of integers are taken.

    Returns:
        Bytes of the file; one image per call.

    Raises:
        ValueError: an unknown `quantize`, integers without calibration images, an operation that has no builtin
            (or none of that type), or `packed` without a kernel of few levels.
    """
    checks.one_of(quantize, "quantize", QUANTIZE)
    if quantize in INTEGERS:
        has_images = calibration is not None and len(calibration) > 0
        checks.require(has_images, f"{quantize} needs calibration images.", n=0)
    if quantize == "int8x16":
        _refuse_ranges_of_8_bits(model)
    module, function = _traced(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    _configure(converter, quantize, calibration)
    try:
        with quiet():
            content = converter.convert()
    except Exception as error:  # the converter raises its own private types
        raise ValueError(
            f"every operation of the model must be a TFLite builtin. Received: model={model.name!r} ({error})"
        ) from error
    if quantize == "int8x16":
        _refuse_wrong_int16(content, model)
    after = {"int8": with_exact_draws, "packed": lambda content: pack(content, model)}
    return after.get(quantize, lambda content: content)(content)


def _configure(converter, quantize, calibration):
    # Builtin operations alone: the default would let Flex operations in, which the stock interpreter cannot run.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize not in (None, "packed"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize in INTEGERS:
        integer, operations = INTEGERS[quantize]
        converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        converter.target_spec.supported_ops = [operations, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.inference_input_type = converter.inference_output_type = integer


def _refuse_ranges_of_8_bits(model):
    """Quantization-aware training puts operations of 8 bits into a model, which the converter cannot make 16."""
    aware = [layer.name for layer in model.layers if hasattr(layer, "quantize_config")]
    message = "int8x16 needs a model without the 8 bits of quantization-aware training: use int8."
    checks.require(not aware, message, model=model.name, layers=aware)


def _refuse_wrong_int16(content, model):
    """The converter lets integers of unlike scales meet in one operation: such a file fails, or is silently wrong."""
    quantizers = [(layer.name, getattr(layer, "kernel_quantizer", None)) for layer in layers_of(model)]
    draws = [name for name, quantizer in quantizers if getattr(quantizer, "random", False)]
    message = "int8x16 needs a model whose kernels are the same at each call: use int8."
    checks.require(not draws, message, model=model.name, layers=draws)
    found = [operation for operation in flatbuffer.operations(content) if operation.startswith("SELECT")]
    checks.require(
        not found,
        "int8x16 needs a model that selects between no two tensors (SQA and fixed activations do, where a map is "
        "constant): use int8.",
        model=model.name,
        operations=found,
    )


def _traced(model):
    """The model as one function of one image, and a module that owns its variables (so that they are folded in)."""

    def uniform(shape, seed_generator):
        del seed_generator  # keras.random becomes a Flex operation; this becomes the builtin RANDOM_UNIFORM
        return tf.random.uniform(shape)

    module = tf.Module()
    # Keras 3 wraps TensorFlow's variables; a model of tf_keras has the variables themselves.
    module.held = [v.value if isinstance(v, keras.Variable) else v for v in model.variables]
    images = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, name="images")
    with noise_source(uniform):
        function = tf.function(lambda images: model(images, training=False), input_signature=[images])
        return module, function.get_concrete_function()
