"""The seam between the training loop and Keras's backend."""

import keras

if keras.backend.backend() == "jax":
    from tfrobust.training import step_jax as backend
else:
    from tfrobust.training import step_tensorflow as backend


def compile_step(model, optimizer, defense, surrogate=None):
    """Compile `step(images, labels, weights) -> (loss, share right)`, which updates the model once.

    Args:
        model: `keras.Model` from images to logits.
        optimizer: a built `keras.optimizers.Optimizer`.
        defense: a defense, which says what is minimised.
        surrogate: pseudo-derivative that replaces each quantizer's own, or None.

    Returns:
        A function of tensors or arrays: images `[batch, height, width, channels]`, labels `[batch]`, weights
        `[batch]` that sum to 1.
    """
    return backend.compile_step(model, optimizer, defense, surrogate)


def compile_run(model, optimizer, defense, surrogate, batches, victim):
    """Compile `run(step) -> (loss, share right)`: the step's batch, what the defense makes of it, and the update.

    Args:
        model, optimizer, defense, surrogate: see `compile_step`.
        batches: the run's `Batches`.
        victim: the model as the defense's attack sees it.

    Returns:
        A callable; its `settle()` brings the variables of model and optimizer up to date.
    """
    return backend.Run(model, optimizer, defense, surrogate, batches, victim)


def stateless_uniform(shape, seeds):
    """Uniform numbers in [0, 1) that depend on two whole numbers alone, which may be tensors."""
    return backend.stateless_uniform(shape, seeds)
