"""Training steps on TensorFlow: attacks run step by step, the update is one graph."""

import tensorflow as tf

from tfrobust.quantizers import surrogates
from tfrobust.training.defenses import Examples


def compile_step(model, optimizer, defense, surrogate):
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


class Run:
    """See `step.compile_run`."""

    def __init__(self, model, optimizer, defense, surrogate, batches, victim):
        self.update = compile_step(model, optimizer, defense, surrogate)
        self.defense, self.batches, self.victim = defense, batches, victim

    def __call__(self, step):
        batches, data = self.batches, self.batches.data
        index, rng = batches.index(step), batches.rng(step)
        x = batches.augmented(data.pixels(index), rng)
        examples = self.defense.examples(self.victim, x, data.labels[index], rng, batches.epoch(step))
        return tuple(float(value) for value in self.update(*examples))

    def settle(self):
        """Each update is at once one of the variables."""


def stateless_uniform(shape, seeds):
    return tf.random.stateless_uniform(shape, tf.stack([tf.cast(seed, tf.int64) for seed in seeds]))
