"""One compiled optimisation step: the seam between the training loop and the backend."""

import tensorflow as tf

from tfrobust import losses


def compile_step(model, optimizer):
    """Compile `step(images, labels, weights) -> (loss, share right)`, which updates the model once.

    Args:
        model: `keras.Model` from images to logits.
        optimizer: a built `keras.optimizers.Optimizer`.

    Returns:
        A function of tensors or arrays: images `[batch, height, width, channels]`, labels `[batch]`, weights
        `[batch]` that sum to 1.
    """

    @tf.function(reduce_retracing=True)
    def step(images, labels, weights):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_sum(weights * losses.cross_entropy(labels, logits))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
        )
        right = tf.cast(tf.argmax(logits, axis=-1) == tf.cast(labels, tf.int64), tf.float32)
        return loss, tf.reduce_sum(weights * right)

    return step
