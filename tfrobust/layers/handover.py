"""Weights of a trained network as the start of the same network with quantized activations."""

import keras
import numpy as np

from tfrobust import checks
from tfrobust.layers import graph
from tfrobust.layers.activations import DQA, FixedQuantizedActivation

SIGNED = DQA, FixedQuantizedActivation  # their levels lie between -1 and 1
AVERAGES = keras.layers.AveragePooling2D, keras.layers.GlobalAveragePooling2D


def hand_over(trained, model):
    """Give a network the weights of a trained one; a staircase in place of ReLU then does ReLU's work.

    A staircase from -1 to 1 in place of `relu(u)` is given `u - 1` and passes on about `min(relu(u), 2) - 1`: what
    comes before it is lowered by 1 (a bias, or the shift of a batch normalization), and what reads it gets back the
    sum of its kernel (in its bias, or in the mean of the batch normalization behind it). Exact but for rounding to
    levels, for values above 2, for quantized kernels, and for the zeros around padded images, which now stand for 1.

    Args:
        trained: built functional or sequential `keras.Model`. It is not changed.
        model: the same network with the same or with quantized activations; its weights are replaced, except for those
            that only it has (thresholds).

    Raises:
        ValueError: weights that only one of them has (thresholds of `model` apart) or that differ in shape; a staircase
            with no bias or shift before it; or a model whose layers are hidden.

    Example:
        >>> from tfrobust import zoo
        >>> model = zoo.load("lenet_dqa2.mnist_pgd", weights=None)
        >>> hand_over(zoo.load("lenet.mnist_pgd"), model)

    Reference:
        Our own; why it is needed, and what it gave, is in zoo/recipes/LOG.md.
    """
    found = graph.calls(model)
    values = {weight.path: np.asarray(weight) for weight in trained.weights}
    shapes = {weight.path: tuple(weight.shape) for weight in model.weights}
    activations = [layer for layer in graph.layers_of(model) if graph.is_quantized_activation(layer)]
    thresholds = {weight.path for layer in activations for weight in layer.weights}
    other = sorted(path for path in shapes.keys() - thresholds | values.keys() if not _fits(path, values, shapes))
    checks.require(
        not other, f"start must be the network {model.name}, or that with ReLU.", start=trained.name, other=other
    )
    if not any(isinstance(layer, SIGNED) for layer in graph.layers_of(trained)):
        _Moves(found, values).make()
    for weight in model.weights:
        if weight.path in values:
            weight.assign(values[weight.path])


def _fits(path, values, shapes):
    return path in values and shapes.get(path) == values[path].shape


class _Moves:
    """The changes of biases, shifts and means, made in `values` (arrays by path of the weight)."""

    def __init__(self, calls, values):
        self.calls, self.values = calls, values
        self.maker = {id(output): call for call in calls for output in call.outputs}
        self.readers = {id(tensor): call for call in calls for tensor in call.inputs}

    def make(self):
        for call in self.calls:
            if isinstance(call.layer, SIGNED) and not self.is_low(call.inputs[0]):
                self.lower(call.inputs[0])
            elif graph.has_kernel(call.layer) and self.is_low(call.inputs[0]):
                self.give_back(call)

    def is_low(self, tensor):
        """Whether a value is 1 below that of the network with ReLU."""
        call = self.maker.get(id(tensor))
        if call is None:
            return False
        if isinstance(call.layer, SIGNED):
            return True
        passes = isinstance(call.layer, (keras.layers.Add, *AVERAGES)) or graph.keeps_values(call.layer)
        return passes and any(self.is_low(each) for each in call.inputs)

    def lower(self, tensor):
        """Take 1 from a value, in the last layer before it that has a shift for each channel."""
        call = self.maker.get(id(tensor))
        checks.require(call is not None, "a bias or a shift must come before each quantized activation.")
        for name in ("beta", "bias"):
            if (weight := getattr(call.layer, name, None)) is not None:
                self.values[weight.path] = self.values[weight.path] - 1
                return
        self.lower(call.inputs[0])  # of a sum one summand is enough

    def give_back(self, call):
        """Make up for a kernel's inputs that are 1 too low: its outputs are too low by its sum."""
        kernel = self.values[call.layer.kernel.path]
        lost = kernel.sum(axis=tuple(range(kernel.ndim - 1)))
        if call.layer.bias is not None:
            self.values[call.layer.bias.path] = self.values[call.layer.bias.path] + lost
            return
        mean = getattr(self.readers[id(call.outputs[0])].layer, "moving_mean", None)
        if mean is not None:  # else training has to find it
            self.values[mean.path] = self.values[mean.path] - lost
