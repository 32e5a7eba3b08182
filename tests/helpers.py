"""Gradients in one form on every Keras backend, and arrays in and out."""

import keras
import numpy as np
from keras import ops

from tfrobust import architectures


def array(value):
    """A tensor as a numpy array."""
    return np.asarray(ops.convert_to_numpy(value))


def sized(name, **arguments):
    """A network for counting: its variables have shapes, but no values, which would take long to draw."""
    with keras.StatelessScope(initialize_variables=False):
        return architectures.build(name, **arguments)


def recipe_of(name):
    """The recipe that made, or will make, an entry of the zoo."""
    import runpy

    from tfrobust.zoo import manifest

    return runpy.run_path(str(manifest.folder() / "recipes" / f"{name}.py"))["RECIPE"]


def vjp(function, upstream, *inputs):
    """Gradients of `sum(upstream * function(*inputs))` with respect to each input, as arrays."""
    upstream = ops.convert_to_tensor(upstream)
    inputs = [ops.convert_to_tensor(value) for value in inputs]
    if keras.backend.backend() == "jax":
        import jax

        _, pull_back = jax.vjp(function, *inputs)
        return [array(gradient) for gradient in pull_back(upstream)]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = function(*inputs)
    return [array(gradient) for gradient in tape.gradient(output, inputs, output_gradients=upstream)]


def weight_gradients(layer, upstream, x):
    """Gradients of `sum(upstream * layer(x))` with respect to each trainable weight of a built layer, as arrays."""
    if keras.backend.backend() == "jax":
        fixed = [variable.value for variable in layer.non_trainable_variables]

        def output(*weights):
            return layer.stateless_call(list(weights), fixed, x)[0]

        return vjp(output, upstream, *(variable.value for variable in layer.trainable_variables))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        output = layer(x)
    weights = [variable.value for variable in layer.trainable_variables]
    return [array(gradient) for gradient in tape.gradient(output, weights, output_gradients=upstream)]


LINEAR_SHAPE = (6, 6, 1)


def linear_model(seed=0, classes=2):
    """A linear victim, whose worst perturbation is known in closed form: `logits = w x`."""
    model = keras.Sequential([keras.Input(LINEAR_SHAPE), keras.layers.Flatten(), keras.layers.Dense(classes)])
    kernel = np.random.default_rng(seed).normal(size=(36, classes)).astype("float32")
    model.layers[-1].set_weights([kernel, np.zeros(classes, "float32")])
    model.name = f"linear{seed}"
    return model


def linear_weights(model):
    """What moves the second logit against the first, `[height, width, 1]`."""
    kernel = np.asarray(model.layers[-1].get_weights()[0])
    return (kernel[:, 1] - kernel[:, 0]).reshape(LINEAR_SHAPE)


def linear_images(n=16, low=0.3, high=0.7):
    """Images well inside [0, 1] and the labels that the linear victim gives them."""
    x = np.random.default_rng(5).uniform(low, high, size=(n, *LINEAR_SHAPE)).astype("float32")
    return x, np.asarray(linear_model()(x)).argmax(-1)


def watch_steps(patched, before=lambda: None, after=lambda model, run: None):
    """Have `before()` called ahead of each step of a training run, and `after(model, run)` behind it."""
    from tfrobust.training import trainer

    compile_run = trainer.compile_run

    def watched(model, *args):
        run = compile_run(model, *args)

        def step(number):
            before()
            result = run(number)
            after(model, run)
            return result

        step.settle = run.settle
        return step

    patched.setattr(trainer, "compile_run", watched)


class Killed(Exception):
    """What `killer` ends a run with."""


def killer(steps):
    """A function for `watch_steps` that lets a run end in the middle, after so many steps."""
    left = iter(range(steps))

    def kill():
        if next(left, None) is None:
            raise Killed

    return kill
