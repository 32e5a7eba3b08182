"""`perturbation` on TensorFlow: images whose decision has changed leave the batch."""

import tensorflow as tf


def value_and_gradients(model, function, weights):
    del model
    with tf.GradientTape() as tape:
        value = function()
    return value, tape.gradient(value, weights, unconnected_gradients="zero")


def pull_back(function, x):
    """`(function(x), how a gradient by its value becomes one by x)`."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = function(x)
    return value, lambda upstream: tape.gradient(value, x, output_gradients=upstream)


def path(step, is_changed, model, images, max_iter, factor):
    """The sum of the steps of `images`, a tuple of tensors with one row per image."""
    x, path_, y, right, candidates = images
    path_ = path_ + step(model, x + factor * path_, y, right, candidates)
    if max_iter == 1:
        return path_
    groups = tf.cast(is_changed(model, x + factor * path_, y, right), tf.int32)
    images = (x, path_, y, right, candidates)
    going_on, done = zip(*(tf.dynamic_partition(values, groups, 2) for values in images), strict=True)
    rows = tf.dynamic_partition(tf.range(tf.size(y)), groups, 2)
    # The condition is needed, not only quick: a compiled convolution refuses an empty batch.
    is_left = tf.size(rows[0]) > 0
    rest = tf.cond(is_left, lambda: path(step, is_changed, model, going_on, max_iter - 1, factor), lambda: going_on[1])
    return tf.dynamic_stitch(rows, [rest, done[1]])
