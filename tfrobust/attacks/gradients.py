"""The one seam through which attacks differentiate a model; TensorFlow by way of CleverHans."""

import weakref

import tensorflow as tf
from cleverhans.tf2.utils import compute_gradient, optimize_linear

_compiled = weakref.WeakKeyDictionary()  # model -> {what: compiled function}; a model's graphs die with it


def _compiled_for(model, key, shape, function):
    """`function(model, images, …)` compiled for any number of images of `shape`, once per model and `key`."""
    functions = _compiled.setdefault(model, {})
    if (key, shape) not in functions:
        images = tf.TensorSpec((None, *shape), tf.float32)
        labels = tf.TensorSpec((None,), tf.int64)
        signature = (images,) if key == "call" else (images, labels)
        weak = weakref.proxy(model)
        functions[key, shape] = tf.function(lambda *inputs: function(weak, *inputs), input_signature=signature)
    return functions[key, shape]


def compiled_call(model, x):
    """`model(x)` as a compiled graph, traced once per model and image shape."""
    return _compiled_for(model, "call", tuple(x.shape[1:]), lambda model, x: model(x))(x)


def input_gradient(model, loss, x, y, targeted=False):
    """Gradient of `loss(labels, logits)` at each image; compiled once per model, loss and image shape.

    Args:
        model: callable from images to logits, made of TensorFlow operations.
        loss: function `(labels, logits) -> [batch]`, to be increased (decreased if `targeted`).
        x: images, `[batch, height, width, channels]`.
        y: labels, `[batch]`.
        targeted: whether `y` are labels to reach rather than to leave.

    Returns:
        Tensor of the shape of `x`.
    """

    def gradient(model, x, y):
        # CleverHans's own function, compiled apart for each model: shared by all, it would keep every model alive.
        return compute_gradient.python_function(model, loss, x, y, targeted)

    x = tf.convert_to_tensor(x)
    return _compiled_for(model, (loss, targeted), tuple(x.shape[1:]), gradient)(x, tf.cast(y, tf.int64))


def steepest_step(gradient, length, norm):
    """Move of `length` in `norm` that increases a linear function with this `gradient` the most."""
    return optimize_linear(gradient, length, norm)
