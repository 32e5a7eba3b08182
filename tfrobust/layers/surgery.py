"""`quantize`: anyone's Keras model with quantized layers in place of float ones, its weights kept."""

import logging
import re

import keras

from tfrobust import quantizers
from tfrobust.layers import graph
from tfrobust.layers.activations import DQA, SQA, FixedQuantizedActivation
from tfrobust.layers.changes import CONVERTED, KINDS, Plan, changes
from tfrobust.layers.elementwise import QuantizedActivation

ACTIVATIONS = {
    "dqa": DQA,
    "fixed": FixedQuantizedActivation,
    "sqa": SQA,
    "dorefa_activations": lambda bits, **settings: QuantizedActivation(f"dorefa_activations{bits}", **settings),
}


def quantize(model, activation=None, kernel=None, input=None, skip="ends"):
    """Copy a Keras model with quantized layers in place of float ones; the weights are those of the original.

    2D convolutions (also depthwise and separable) and dense layers get quantized kernels; a quantized activation
    replaces every ReLU, be it a layer, an operation or an `activation` argument (SQA comes after the ReLU). What was
    to be quantized and cannot be is named on the logger `tfrobust` at level WARNING, which Python prints to standard
    error; `tfrobust.layers.quantization_plan`, called alike, lists everything and changes nothing.

    Quantized values have another size than the float ones, so the copy is where training starts, not a result.

    Args:
        model: functional or sequential `keras.Model`, built, which may hold others. It is not changed.
        activation: None, `"dqa<bits>"`, `"fixed<bits>"`, `"dorefa<bits>"` (short for `"dorefa_activations<bits>"`),
            `"sqa<levels>"`, or `"sqa"`: 2 levels after the first ReLU and 3 after the second, as in the paper.
        kernel: None or the name of a weight quantizer: `"binary"`, `"binary_stochastic"`, `"kbit4"`, `"dorefa4"`
            (short for `"dorefa_weights4"`).
        input: None or the name of a quantizer for the images, e.g. `"dorefa1"` (`"dorefa_activations1"`). The layers
            that read the images get it, though their kernels stay float.
        skip: what stays as it is: `"ends"` (the kernels of the first and the last layer that have one, and all
            activations from the last one on), the name of a layer or of a model inside, a function of a layer, or a
            list of these. `()` is nothing.

    Returns:
        `keras.Model` with the name, inputs and outputs of the original, not compiled. Without `activation`, `kernel`
        and `input` it computes exactly what the original does.

    Raises:
        ValueError: a subclassed or unbuilt model, an unknown quantizer, a name in `skip` that no layer has, or no
            layer that could take `input`.

    Example:
        >>> images = keras.Input((8, 8, 3))
        >>> x = keras.layers.Conv2D(4, 3, activation="relu")(images)
        >>> x = keras.layers.Dense(5, activation="relu")(keras.layers.Flatten()(x))
        >>> mine = quantize(keras.Model(images, keras.layers.Dense(2)(x)), activation="dqa2", kernel="dorefa4")
        >>> [type(layer).__name__ for layer in mine.layers[1:]]
        ['Conv2D', 'DQA', 'Flatten', 'QuantDense', 'DQA', 'Dense']

    Reference:
        S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth
        Gradients", arXiv 2016, for first and last layers in float.
    """
    decided, edits, made = changes(model, activation, kernel, input, skip), {}, {}
    for layer, change in decided:
        if change.state == CONVERTED:
            edits.setdefault(id(layer), {})[change.part] = change.detail
    quantized = _rebuilt(model, edits, made)
    for layer, (copy, *_) in made.values():
        if not graph.is_graph(layer) and getattr(layer, "weights", ()):
            copy.set_weights(layer.get_weights())
    if left := Plan(model.name, [change for _, change in decided]).left:
        named = "; ".join(f"{change.layer} ({change.kind} {change.part}: {change.detail})" for change in left)
        logging.getLogger("tfrobust").warning("quantize left as they were: %s", named)
    return quantized


def quantization_plan(model, activation=None, kernel=None, input=None, skip="ends"):
    """What `tfrobust.quantize` would do with the same arguments, without doing it.

    Args:
        model, activation, kernel, input, skip: see `tfrobust.quantize`.

    Returns:
        A `Plan`: its lists `converted`, `kept` (on purpose) and `left` (cannot be) hold one `Change` per kernel,
        activation and reader of the images.

    Raises:
        ValueError: as `tfrobust.quantize`.

    Example:
        >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2DTranspose(1, 3)])
        >>> quantization_plan(model, kernel="binary", skip=()).left[0].detail
        'no quantized layer of this kind'
    """
    return Plan(model.name, [change for _, change in changes(model, activation, kernel, input, skip)])


def _rebuilt(model, edits, made):
    """A copy of `model` with its edits, id of layer -> {part: name}; `made` collects id -> (layer, its copies)."""

    def copies(layer):
        if id(layer) not in made:
            edit = edits.get(id(layer), {})
            made[id(layer)] = layer, [_rebuilt(layer, edits, made)] if graph.is_graph(layer) else _copies(layer, edit)
        return made[id(layer)][1]

    def call(layer, *args, **kwargs):
        first, *rest = copies(layer)
        value = first(*args, **kwargs)
        for following in rest:
            value = following(value)
        return value

    if isinstance(model, keras.Sequential):
        chain = [copy for layer in model.layers for copy in copies(layer)]
        return keras.Sequential([_input_like(model.inputs[0]), *chain], name=model.name)
    inputs = keras.tree.map_structure(_input_like, model.input)
    return keras.Model(inputs, graph.run(model, inputs, call), name=model.name)


def _input_like(x):
    return keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name)


def _copies(layer, edit):
    """What stands in a layer's place: its copy under `edit`, and the activation after it if that is a new layer."""
    config, kind, activation = layer.get_config(), type(layer), edit.get("activation")
    for part in edit.keys() & {"kernel", "input"}:
        kind = KINDS[kind]
        config[f"{part}_quantizer"] = quantizers.get(edit[part])
    if activation is None:
        return [kind.from_config(config)]
    stands_alone = kind is keras.layers.Activation or not hasattr(layer, "activation")
    follows_relu = activation.startswith("sqa")
    if stands_alone and not follows_relu:
        return [_activation(activation, layer, layer.name)]
    if not follows_relu:
        config["activation"] = "linear"
    return [kind.from_config(config), _activation(activation, layer, f"{layer.name}_{activation}")]


def _activation(activation, layer, name):
    kind, number = re.fullmatch(r"([a-z_]+)(\d+)", activation).groups()
    return ACTIVATIONS[kind](int(number), name=name, dtype=getattr(layer, "dtype_policy", None))
