"""`gradients` on JAX. Inside a compiled training step the model's variables are that step's own."""

import functools
import weakref

import jax
import keras
from jax import numpy as jnp

from tfrobust import norms
from tfrobust.quantizers import surrogates

TINY = 1e-12  # under the root of a length, as in CleverHans
_compiled = weakref.WeakKeyDictionary()  # model -> {what: compiled function}; a model's functions die with it


def _run(model, key, function, *inputs):
    """`function(model, *inputs)`, compiled once per model, `key` and shapes; random layers draw on as they go."""
    if not isinstance(model, keras.Model):  # called as it is: it may draw, or look at values
        return function(model, *map(jnp.asarray, inputs))
    if any(map(is_traced, inputs)):
        return function(model, *inputs)
    functions = _compiled.setdefault(model, {})
    if key not in functions:
        functions[key] = jax.jit(functools.partial(_with_variables, weakref.proxy(model), function))
    result, states = functions[key]([variable.value for variable in model.variables], *map(jnp.asarray, inputs))
    for variable, state in zip(_random_states(model), states, strict=True):
        variable.assign(state)
    return result


def _with_variables(model, function, values, *inputs):
    """`(function(model, *inputs), random states after it)` with `values` in the place of the model's variables."""
    with keras.StatelessScope(list(zip(model.variables, values, strict=True))) as scope:
        result = function(model, *inputs)
    return result, [scope.get_current_value(variable) for variable in _random_states(model)]


def _random_states(model):
    return [variable for variable in model.variables if "int" in keras.backend.standardize_dtype(variable.dtype)]


def compiled_call(model, x):
    return _run(model, "call", lambda model, x: model(x), x)


def input_gradient(model, loss, x, y, targeted, surrogate, temperature):
    def gradient(model, x, y):
        sign = -1 if targeted else 1
        with surrogates.override(surrogate):
            return jax.grad(lambda x: sign * loss(y, model(x) / temperature).sum())(x)

    return _run(model, ("gradient", loss, targeted, surrogate, temperature), gradient, x, y)


def loss_and_gradient(model, loss, x, y, surrogate, temperature):
    def both(model, x, y):
        def total(x):
            logits = model(x)
            value = loss(y, logits / temperature)
            return value.sum(), (value, logits)

        with surrogates.override(surrogate):
            (_, (value, logits)), gradient = jax.value_and_grad(total, has_aux=True)(x)
        return value, logits, gradient

    return _run(model, ("loss", loss, surrogate, temperature), both, x, y)


def class_gradients(model, x, classes, surrogate):
    def gradients(model, x, classes):
        with surrogates.override(surrogate):
            logits, pull_back = jax.vjp(model, x)
            each = jax.nn.one_hot(classes, logits.shape[-1], dtype=logits.dtype)  # [batch, k, all classes]
            return logits, jnp.stack([pull_back(each[:, j])[0] for j in range(classes.shape[1])], axis=1)

    return _run(model, ("classes", classes.shape[1], surrogate), gradients, x, classes)


def steepest_step(gradient, length, norm):
    if norm == 2:
        squares = jnp.sum(jnp.square(gradient), axis=(1, 2, 3), keepdims=True)
        return length * gradient / jnp.sqrt(jnp.maximum(squares, TINY))
    return length * jnp.sign(gradient)


@functools.partial(jax.jit, static_argnames="norm")
def ascent_step(x, x_adv, direction, length, eps, low, high, norm):
    x_adv = jnp.clip(x_adv + steepest_step(direction, length, norm), low, high)
    return jnp.clip(x + norms.get(norm).project(x_adv - x, eps), low, high)


def repeat(times, body, state, is_random):
    # A loop's body is traced apart: what its layers draw from could not leave it again.
    if not any(map(is_traced, state)) or is_random:
        for _ in range(times):
            state = body(state)
        return state
    return jax.lax.fori_loop(0, times, lambda _, state: body(state), state)


def is_traced(x):
    """Whether `x` stands for a value of a function that is being compiled."""
    return isinstance(x, jax.core.Tracer)
