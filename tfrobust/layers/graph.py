"""A Keras model as a list of layers, or of their calls: which gets what from which; also inside models inside it."""

from typing import NamedTuple

import keras

from tfrobust import checks
from tfrobust.layers.elementwise import QuantizedGradient
from tfrobust.layers.preparation import MCDropout
from tfrobust.quantizers import AbstractQuantizer

KEEPS_VALUES = (  # what comes out is what went in: moved, repeated, left out, or (padding, dropout) a zero
    *(getattr(keras.layers, f"{kind}{rank}D") for rank in (1, 2, 3) for kind in ("MaxPooling", "GlobalMaxPooling")),
    *(getattr(keras.layers, f"{kind}{rank}D") for rank in (1, 2, 3) for kind in ("ZeroPadding", "Cropping")),
    *(getattr(keras.layers, f"SpatialDropout{rank}D") for rank in (1, 2, 3)),
    *(keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute, keras.layers.RepeatVector),
    *(keras.layers.Concatenate, keras.layers.Identity, keras.layers.InputLayer),
    *(keras.layers.Dropout, keras.layers.ActivityRegularization, MCDropout, QuantizedGradient),
)
NORMALIZATIONS = (
    *(keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization),
    *(keras.layers.RMSNormalization, keras.layers.UnitNormalization, keras.layers.Normalization),
)


def layers_of(model):
    """All layers of a Keras model, also those in models and wrappers inside it; nothing for any other callable."""
    wrapped = [model.layer] if isinstance(model, keras.layers.Wrapper) else []
    for layer in (*getattr(model, "layers", ()), *wrapped):
        yield layer
        yield from layers_of(layer)


class Call(NamedTuple):
    """One call of a layer (or of a `keras.ops` operation) on symbolic tensors, which calls share by identity.

    `path` is the layer's name after the names of the models around it: `backbone/conv_1`.
    """

    path: str
    layer: object
    inputs: list
    outputs: list


def is_graph(layer):
    """Whether a layer is a functional or sequential model, called in Keras's own way."""
    own = ("Functional.call", "Sequential.call")
    return isinstance(layer, keras.Model) and type(layer).call.__qualname__ in own


def check(model):
    """Refuse a model whose layers cannot be listed."""
    checks.require(
        is_graph(model) and model.built,
        "the model must be functional or sequential and built (a Sequential begins with keras.Input): the layers of "
        "a subclassed one are hidden in its call.",
        model=getattr(model, "name", model),
    )


def calls(model):
    """Every `Call` of a model in the order of computation; a layer used twice gives two."""
    check(model)
    found = []
    _collect(model, [keras.KerasTensor(x.shape, x.dtype) for x in model.inputs], "", found)
    return found


def _collect(model, inputs, prefix, found):
    def call(layer, *args, **kwargs):
        path = prefix + layer.name
        if is_graph(layer):
            return _collect(layer, args, path + "/", found)
        outputs = layer.compute_output_spec(*args, **kwargs)
        found.append(Call(path, layer, _tensors((args, kwargs)), _tensors(outputs)))
        return outputs

    return run(model, inputs, call)


def run(model, inputs, call):
    """Compute a model's outputs with `call(layer, *args, **kwargs)` in place of each call of a layer."""
    if isinstance(model, keras.Sequential):
        (value,) = keras.tree.flatten(inputs)
        for layer in model.layers:
            value = call(layer, value)
        return value
    return model._run_through_graph(inputs, call_fn=call)  # Keras has no public walk that leaves the model untouched


def _tensors(structure):
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]


def keeps_values(layer):
    """Whether a layer's outputs are values of its inputs, so that their precision stays."""
    return isinstance(layer, KEEPS_VALUES)


def is_quantized_activation(layer):
    """Whether a layer puts a quantizer on what it is given."""
    return isinstance(getattr(layer, "quantizer", None), AbstractQuantizer)


def has_kernel(layer):
    """Whether a layer multiplies by weights: it has a matrix of them and is no normalization or activation."""
    has_matrix = any(len(weight.shape) >= 2 for weight in getattr(layer, "weights", ()))
    return has_matrix and not isinstance(layer, NORMALIZATIONS) and not is_quantized_activation(layer)
