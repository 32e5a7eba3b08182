"""`gradients` on TensorFlow, by way of CleverHans."""

import weakref

import tensorflow as tf
from cleverhans.tf2.utils import compute_gradient, optimize_linear

from tfrobust import norms
from tfrobust.quantizers import surrogates

_compiled = weakref.WeakKeyDictionary()  # model -> {what: compiled function}; a model's graphs die with it


def _compiled_for(model, key, shape, function, *more_inputs):
    """`function(model, images, …)` compiled for any number of images of `shape`, once per model and `key`."""
    functions = _compiled.setdefault(model, {})
    if (key, shape) not in functions:
        signature = (tf.TensorSpec((None, *shape), tf.float32), *more_inputs)
        weak = weakref.proxy(model)
        functions[key, shape] = tf.function(lambda *inputs: function(weak, *inputs), input_signature=signature)
    return functions[key, shape]


def _tensors(x, y):
    """Images and labels as a graph takes them: classes as int64, distributions over classes as they are."""
    y = tf.convert_to_tensor(y)
    return tf.convert_to_tensor(x), tf.cast(y, tf.int64) if y.dtype.is_integer else y


def _like(labels):
    """Any number of labels of this kind: `[batch]`, or `[batch, k]`."""
    return tf.TensorSpec((None, *labels.shape[1:]), labels.dtype)


def compiled_call(model, x):
    return _compiled_for(model, "call", tuple(x.shape[1:]), lambda model, x: model(x))(x)


def input_gradient(model, loss, x, y, targeted, surrogate, temperature):
    def gradient(model, x, y):
        # CleverHans's own function, compiled apart for each model: shared by all, it would keep every model alive.
        seen = _at_temperature(model, temperature)
        with surrogates.override(surrogate):
            return _or_zero(compute_gradient.python_function(seen, loss, x, y, targeted), x)

    x, y = _tensors(x, y)
    key = ("gradient", loss, targeted, surrogate, temperature)
    return _compiled_for(model, key, tuple(x.shape[1:]), gradient, _like(y))(x, y)


def loss_and_gradient(model, loss, x, y, surrogate, temperature):
    def both(model, x, y):
        with surrogates.override(surrogate), tf.GradientTape() as tape:
            tape.watch(x)
            logits = model(x)
            value = loss(y, logits / temperature)
            gradient = _or_zero(tape.gradient(value, x), x)
        return value, logits, gradient

    x, y = _tensors(x, y)
    key = ("loss", loss, surrogate, temperature)
    return _compiled_for(model, key, tuple(x.shape[1:]), both, _like(y))(x, y)


def class_gradients(model, x, classes, surrogate):
    k = classes.shape[1]

    def gradients(model, x, classes):
        with surrogates.override(surrogate), tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            logits = model(x)
            chosen = tf.unstack(tf.gather(logits, classes, batch_dims=1), k, axis=1)
        with surrogates.override(surrogate):
            return logits, tf.stack([_or_zero(tape.gradient(logit, x), x) for logit in chosen], axis=1)

    x = tf.convert_to_tensor(x)
    key = ("classes", k, surrogate)
    classes = tf.cast(classes, tf.int64)
    return _compiled_for(model, key, tuple(x.shape[1:]), gradients, _like(classes))(x, classes)


def _or_zero(gradient, x):
    """A model may cut its input off from its output (a staircase without a pseudo-gradient): that gradient is 0."""
    return tf.zeros_like(x) if gradient is None else gradient


def _at_temperature(model, temperature):
    return model if temperature == 1.0 else lambda x: model(x) / temperature


def steepest_step(gradient, length, norm):
    return optimize_linear(tf.convert_to_tensor(gradient), length, norm)


@tf.function(reduce_retracing=True)
def ascent_step(x, x_adv, direction, length, eps, low, high, norm):
    # One graph: taken one by one, its ten small operations cost a tenth of a gradient. All but `norm` are tensors.
    x_adv = tf.clip_by_value(x_adv + steepest_step(direction, length, norm), low, high)
    return tf.clip_by_value(x + norms.get(norm).project(x_adv - x, eps), low, high)


def repeat(times, body, state, is_random):
    del is_random
    for _ in range(times):
        state = body(state)
    return state


def is_traced(x):
    """Attacks run step by step here, on tensors with values."""
    del x
    return False
