"""One compiled optimisation step: the seam between the training loop and the backend."""

import tensorflow as tf

from tfrobust.quantizers import surrogates
from tfrobust.training.defenses import Examples


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

    @tf.function(reduce_retracing=True, autograph=False)
    def step(images, labels, weights):
        climbing = [] if defense.perturbation is None else [images]
        with surrogates.override(surrogate):
            with tf.GradientTape() as tape:
                tape.watch(climbing)
                loss, logits = defense.objective(model, Examples(images, labels, weights))
            of_weights, of_images = tape.gradient(loss, [model.trainable_variables, climbing])
        optimizer.apply_gradients(zip(of_weights, model.trainable_variables, strict=True))
        defense.after_step(model, optimizer.iterations)
        for gradient in of_images:
            defense.climb(gradient)
        right = tf.cast(tf.argmax(logits, axis=-1) == tf.cast(labels, tf.int64), tf.float32)
        return loss, tf.reduce_sum(weights * right)

    return step
