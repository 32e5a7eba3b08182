"""The one seam through which attacks differentiate a model, on Keras's TensorFlow or JAX backend."""

import keras
import numpy as np

from tfrobust import checks

if checks.one_of(keras.backend.backend(), "Keras's backend", ("tensorflow", "jax")) == "jax":
    from tfrobust.attacks import gradients_jax as backend
else:
    from tfrobust.attacks import gradients_tensorflow as backend


def compiled_call(model, x):
    """`model(x)` as a compiled graph, traced once per model and image shape."""
    return backend.compiled_call(model, x)


def input_gradient(model, loss, x, y, targeted=False, surrogate=None, temperature=1.0):
    """Gradient of `loss(labels, logits / temperature)` at each image; compiled once per model, loss and image shape.

    Args:
        model: callable from images to logits, made of the backend's operations.
        loss: function `(labels, logits) -> [batch]`, to be increased (decreased if `targeted`).
        x: images, `[batch, height, width, channels]`.
        y: labels, `[batch]`; or what else `loss` takes, one row per image.
        targeted: whether `y` are labels to reach rather than to leave.
        surrogate: pseudo-derivative that replaces each quantizer's own, or None.
        temperature: what logits are divided by.

    Returns:
        Tensor of the shape of `x`.
    """
    return backend.input_gradient(model, loss, x, y, targeted, surrogate, temperature)


def loss_and_gradient(model, loss, x, y, surrogate=None, temperature=1.0):
    """`(loss [batch], logits [batch, classes], gradient of the loss)` in one pass; arguments as `input_gradient`."""
    return backend.loss_and_gradient(model, loss, x, y, surrogate, temperature)


def class_gradients(model, x, classes, surrogate=None):
    """Logits, and the gradients of some of them, by one forward pass and one backward pass per class.

    Args:
        model: callable from images to logits, made of the backend's operations.
        x: images, `[batch, height, width, channels]`.
        classes: class indices, `[batch, k]`.
        surrogate: pseudo-derivative that replaces each quantizer's own, or None.

    Returns:
        `(logits [batch, all classes], gradients [batch, k, height, width, channels])`.
    """
    return backend.class_gradients(model, x, classes, surrogate)


def steepest_step(gradient, length, norm):
    """Move of `length` in `norm` that increases a linear function with this `gradient` the most."""
    return backend.steepest_step(gradient, length, norm)


def ascent_step(x, x_adv, direction, length, eps, low, high, norm):
    """`x_adv` moved by `length` along `direction`, brought back into the ball around `x` and the bounds."""
    return backend.ascent_step(x, x_adv, direction, length, eps, low, high, norm)


def repeat(times, body, state, is_random):
    """`state` after `times` calls of `body(state)`; inside a compiled step one loop of it, unless layers draw in it."""
    return backend.repeat(times, body, state, is_random)


def host(value):
    """A tensor as a numpy array; inside a compiled step, where it has no value yet, as it is."""
    return value if backend.is_traced(value) else np.array(value)


def averaged(function, passes):
    """Mean of `passes` results of `function()`, each a tensor or a tuple of tensors."""
    if passes == 1:
        return function()
    results = [function() for _ in range(passes)]
    if isinstance(results[0], tuple):
        return tuple(sum(parts) / passes for parts in zip(*results, strict=True))
    return sum(results) / passes
