"""`perturbation` on JAX: images whose decision has changed stay in the batch, whose size is fixed, and stand still."""

import jax
import keras
from jax import numpy as jnp


def value_and_gradients(model, function, weights):
    values = {id(variable): variable.value for variable in model.variables}

    def of(trained):
        now = values | {id(weight): value for weight, value in zip(weights, trained, strict=True)}
        with keras.StatelessScope([(variable, now[id(variable)]) for variable in model.variables]):
            return function()

    return jax.value_and_grad(of)([values[id(weight)] for weight in weights])


def pull_back(function, x):
    """`(function(x), how a gradient by its value becomes one by x)`."""
    value, back = jax.vjp(function, x)
    return value, lambda upstream: back(upstream)[0]


def path(step, is_changed, model, images, max_iter, factor):
    """The sum of the steps of `images`, a tuple of tensors with one row per image."""
    x, path_, y, right, candidates = images
    going = jnp.ones(len(x), bool)
    for left in reversed(range(max_iter)):
        move = step(model, x + factor * path_, y, right, candidates)
        path_ = jnp.where(going[:, None, None, None], path_ + move, path_)
        if left:
            going &= ~is_changed(model, x + factor * path_, y, right)
    return path_
