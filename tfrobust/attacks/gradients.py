"""The one seam through which attacks differentiate a model; TensorFlow by way of CleverHans."""

import weakref

import tensorflow as tf
from cleverhans.tf2.utils import compute_gradient, optimize_linear

_compiled = weakref.WeakKeyDictionary()  # model -> {what: compiled function}; a model's graphs die with it


def _compiled_for(model, key, build):
    """The compiled function `key` of `model`, built at its first use."""
    functions = _compiled.setdefault(model, {})
    if key not in functions:
        functions[key] = build(weakref.proxy(model))
    return functions[key]


def compiled_call(model):
    """`model` as one compiled graph for any batch size."""
    return _compiled_for(model, "call", lambda model: tf.function(lambda x: model(x), reduce_retracing=True))


def input_gradient(model, loss, x, y, targeted=False):
    """Gradient of `loss(labels, logits)` at each image; compiled once per model, loss and shape.

    Args:
        model: callable from images to logits, made of TensorFlow operations.
        loss: function `(labels, logits) -> [batch]`, to be increased (decreased if `targeted`).
        x: images, `[batch, height, width, channels]`.
        y: labels, `[batch]`.
        targeted: whether `y` are labels to reach rather than to leave.

    Returns:
        Tensor of the shape of `x`.
    """

    def build(model):
        # CleverHans's function, compiled apart for each model: shared by all it would keep every model alive.
        return tf.function(lambda x, y, targeted: compute_gradient.python_function(model, loss, x, y, targeted))

    compiled = _compiled_for(model, loss, build)
    return compiled(tf.convert_to_tensor(x), tf.convert_to_tensor(y), targeted)


def steepest_step(gradient, length, norm):
    """Move of `length` in `norm` that increases a linear function with this `gradient` the most."""
    return optimize_linear(gradient, length, norm)
