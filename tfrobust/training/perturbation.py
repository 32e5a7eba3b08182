"""DeepFool's perturbation as a function of the weights, which can be differentiated."""

import tensorflow as tf

TINY = 1e-12  # keeps a division by the size of a vanished gradient finite, and a root differentiable


def l2(x):
    """Euclidean norm of each image, `[batch]`, with a gradient also at 0."""
    return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(x), axis=(1, 2, 3)), TINY))


def value_and_gradients(function, weights):
    """`function()` and its gradients by `weights`, zero for those that it does not depend on."""
    with tf.GradientTape() as tape:
        value = function()
    return value, tape.gradient(value, weights, unconnected_gradients="zero")


def deepfool(model, x, y, max_iter=5, overshoot=0.02, n_candidates=10):
    """The L2 DeepFool perturbation of each image, differentiable in the weights by double backpropagation.

    Formula: with `f = z_target - z_source`, `r += -f grad f / ||grad f||^2` at `x + (1 + overshoot) r`, until the
    decision has changed. An image that the model gets right is led from its label to the class whose boundary, made
    linear, is nearest; a wrong one from the class decided to its label.

    Unlike the attack of that name it takes whole steps and knows no box, so that the result is a smooth function of the
    weights between changes of the classes chosen. The classes are chosen by gradients that are not differentiated
    again: all but one of the second-order passes would be multiplied by 0. The layers run as at inference.

    Args:
        model: `keras.Model` from images to logits.
        x: images, tensor `[batch, height, width, channels]`.
        y: labels, int64 tensor `[batch]`.
        max_iter: most steps.
        overshoot: share of the whole perturbation by which the boundary is overstepped.
        n_candidates: classes that are considered, the likeliest at the clean image and its label included.

    Returns:
        `(perturbation, of the shape of x; whether the model gets the image right, [batch])`.

    Example:
        >>> from tfrobust import architectures
        >>> model = architectures.build("mlp", input_shape=(4, 4, 1))
        >>> images = tf.random.stateless_uniform((2, 4, 4, 1), seed=(0, 0))
        >>> delta, _ = deepfool(model, images, tf.constant([3, 3], tf.int64), max_iter=20)
        >>> bool(tf.reduce_all(tf.argmax(model(images + delta), -1) != tf.argmax(model(images), -1)))
        True

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018; S.
        Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool", CVPR 2016.
    """
    logits = model(x, training=False)
    right = tf.argmax(logits, -1) == y
    rest = tf.where(tf.one_hot(y, logits.shape[-1]) > 0, -float("inf"), logits)
    candidates = tf.math.top_k(rest, min(n_candidates, logits.shape[-1]) - 1).indices
    path = _path(model, (x, tf.zeros_like(x), y, right, candidates), max_iter, 1 + overshoot)
    return (1 + overshoot) * path, right


def _path(model, images, max_iter, factor):
    """The sum of the steps of `images`, a tuple of tensors with one row per image."""
    x, path, y, right, candidates = images
    path = path + _step(model, x + factor * path, y, right, candidates)
    if max_iter == 1:
        return path
    is_changed = (tf.argmax(model(x + factor * path, training=False), -1) == y) != right
    groups = tf.cast(is_changed, tf.int32)
    images = (x, path, y, right, candidates)
    going_on, done = zip(*(tf.dynamic_partition(values, groups, 2) for values in images), strict=True)
    rows = tf.dynamic_partition(tf.range(tf.size(y)), groups, 2)
    # The condition is needed, not only quick: a compiled convolution refuses an empty batch.
    is_left = tf.size(rows[0]) > 0
    path = tf.cond(is_left, lambda: _path(model, going_on, max_iter - 1, factor), lambda: going_on[1])
    return tf.dynamic_stitch(rows, [path, done[1]])


def _step(model, x, y, right, candidates):
    """The step of each image onto the boundary that it is led to, made linear at `x`."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        logits = model(x, training=False)
    classes = logits.shape[-1]

    def boundary(source, target):
        """`z_target - z_source` and its gradient."""
        sides = tf.one_hot(target, classes, dtype=logits.dtype) - tf.one_hot(source, classes, dtype=logits.dtype)
        return tf.reduce_sum(sides * logits, -1), tape.gradient(logits, x, output_gradients=sides)

    distances = [-value / l2(gradient) for value, gradient in (boundary(y, c) for c in tf.unstack(candidates, axis=1))]
    nearest = tf.gather(candidates, tf.argmin(tf.stack(distances, 1), 1), batch_dims=1)
    decided = tf.argmax(logits, -1)
    value, gradient = boundary(tf.where(right, y, decided), tf.where(right, tf.cast(nearest, tf.int64), y))
    size = l2(gradient)
    # Where the gradient has all but vanished the linear distance means nothing: no step is longer than the image.
    length = tf.minimum(-value / size, l2(x))
    return gradient * (length / size)[:, None, None, None]
