"""Training steps on JAX: batch, attack and update are one compiled function, and the images lie on the device."""

import functools

import jax
import keras
from jax import numpy as jnp
from keras import ops

from tfrobust.quantizers import surrogates
from tfrobust.training.defenses import Examples


def compile_step(model, optimizer, defense, surrogate):
    variables = _variables(model, optimizer)
    update = jax.jit(functools.partial(_updated, model, optimizer, defense, surrogate, variables))

    def step(images, labels, weights):
        examples = Examples(*map(jnp.asarray, (images, labels, weights)))
        values, loss, right = update([variable.value for variable in variables], examples)
        _assign(variables, values)
        return loss, right

    return step


class Run:
    """See `step.compile_run`. Between two calls the variables' values are kept here, not in the variables."""

    def __init__(self, model, optimizer, defense, surrogate, batches, victim):
        self.variables, self.values = _variables(model, optimizer), None
        self.defense, self.batches, self.victim = defense, batches, victim
        self.images, self.labels = (placed(array) for array in (batches.data.images, batches.data.labels))
        self.update = functools.partial(_updated, model, optimizer, defense, surrogate, self.variables)
        self.whole = jax.jit(self._whole, static_argnames="is_attacked")

    def __call__(self, step):
        batches, strength = self.batches, self.defense.strength(self.batches.epoch(step))
        if self.values is None:
            self.values = [variable.value for variable in self.variables]
        key = jax.random.fold_in(jax.random.key(batches.seed), batches.number(step))
        arguments = self.images, self.labels, placed(batches.index(step), along_batch=True), key
        self.values, loss, right = self.whole(self.values, *arguments, strength, is_attacked=strength > 0)
        return float(loss), float(right)

    def settle(self):
        """Bring the variables of model and optimizer up to date."""
        if self.values is not None:
            _assign(self.variables, self.values)
            self.values = None

    def _whole(self, values, images, labels, index, key, strength, is_attacked):
        draws, x, y = Draws(key), images[index], labels[index]
        x = x.astype("float32") / 255 if x.dtype == jnp.uint8 else x
        x = self.batches.augmented(x, draws)
        with keras.StatelessScope(list(zip(self.variables, values, strict=True))) as scope:
            if is_attacked:
                examples = self.defense.attacked(self.victim, x, y, draws, strength)
            else:
                examples = self.defense.unattacked(x, y)
        # Random layers have drawn while they were attacked.
        values = [scope.get_current_value(variable) for variable in self.variables]
        return self.update(values, examples)


class Draws:
    """What augmentation and attacks draw from inside a compiled step: the part of numpy's `Generator` that they use."""

    def __init__(self, key):
        self.key = key

    def _next(self):
        self.key, key = jax.random.split(self.key)
        return key

    def random(self, size=()):
        """Uniform in [0, 1)."""
        return jax.random.uniform(self._next(), size)

    def uniform(self, low=0.0, high=1.0, size=()):
        """Uniform in [low, high)."""
        return jax.random.uniform(self._next(), size, minval=low, maxval=high)

    def normal(self, loc=0.0, scale=1.0, size=()):
        """Normal of mean `loc` and deviation `scale`."""
        return loc + scale * jax.random.normal(self._next(), size)

    def integers(self, low, high, size=()):
        """Whole numbers from `low` to below `high`."""
        return jax.random.randint(self._next(), size, low, high)


def placed(array, along_batch=False):
    """An array on the devices of Keras's distribution, if there is one: whole on each, or split along its first axis.

    Variables made under `keras.distribution.DataParallel` lie whole on each device; XLA then splits the step by images.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return jnp.asarray(array)
    whole = keras.distribution.TensorLayout([None] * array.ndim, distribution.device_mesh)
    layout = distribution.get_data_layout(array.shape) if along_batch else whole
    return keras.distribution.distribute_tensor(jnp.asarray(array), layout)


def _updated(model, optimizer, defense, surrogate, variables, values, examples):
    """`(values of the variables after one step of the optimizer, loss, share right)`."""
    images, labels, weights = (ops.convert_to_tensor(part) for part in examples)
    position = {id(variable): row for row, variable in enumerate(variables)}
    rows = [position[id(variable)] for variable in model.trainable_variables]

    def objective(trained, images):
        now = list(values)
        for row, value in zip(rows, trained, strict=True):
            now[row] = value
        with keras.StatelessScope(list(zip(variables, now, strict=True))) as scope, surrogates.override(surrogate):
            loss, logits = defense.objective(model, Examples(images, labels, weights))
        return loss, (logits, [scope.get_current_value(variable) for variable in variables])

    climbs = defense.perturbation is not None
    differentiated = jax.value_and_grad(objective, argnums=(0, 1) if climbs else (0,), has_aux=True)
    (loss, (logits, values)), gradients = differentiated([values[row] for row in rows], images)
    with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
        optimizer.apply(gradients[0], model.trainable_variables)
        defense.after_step(model, optimizer.iterations)
        if climbs:
            defense.climb(gradients[1])
    right = jnp.sum(weights * (jnp.argmax(logits, -1) == labels))
    return [scope.get_current_value(variable) for variable in variables], loss, right


def stateless_uniform(shape, seeds):
    return jax.random.uniform(jax.random.fold_in(jax.random.key(seeds[1]), seeds[0]), shape)


def _variables(model, optimizer):
    return [*model.variables, *optimizer.variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
