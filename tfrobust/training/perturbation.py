"""DeepFool's perturbation as a function of the weights, which can be differentiated."""

import keras
from keras import ops

if keras.backend.backend() == "jax":
    from tfrobust.training import perturbation_jax as backend
else:
    from tfrobust.training import perturbation_tensorflow as backend

TINY = 1e-12  # keeps a division by the size of a vanished gradient finite, and a root differentiable


def l2(x):
    """Euclidean norm of each image, `[batch]`, with a gradient also at 0."""
    return ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=(1, 2, 3)), TINY))


def value_and_gradients(model, function, weights):
    """`function()` and its gradients by `weights` of `model`, zero for those that it does not depend on."""
    return backend.value_and_gradients(model, function, weights)


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
        y: labels, integer tensor `[batch]`.
        max_iter: most steps.
        overshoot: share of the whole perturbation by which the boundary is overstepped.
        n_candidates: classes that are considered, the likeliest at the clean image and its label included.

    Returns:
        `(perturbation, of the shape of x; whether the model gets the image right, [batch])`.

    Example:
        >>> from tfrobust import architectures
        >>> model = architectures.build("mlp", input_shape=(4, 4, 1))
        >>> images = keras.random.uniform((2, 4, 4, 1), seed=0)
        >>> delta, _ = deepfool(model, images, ops.array([3, 3]), max_iter=20)
        >>> bool(ops.all(ops.argmax(model(images + delta), -1) != ops.argmax(model(images), -1)))
        True

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018; S.
        Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool", CVPR 2016.
    """
    logits, y = model(x, training=False), ops.cast(y, "int32")
    right = _decision(logits) == y
    rest = ops.where(ops.one_hot(y, logits.shape[-1], dtype=bool), -float("inf"), logits)
    _, candidates = ops.top_k(rest, min(n_candidates, logits.shape[-1]) - 1)
    images = x, ops.zeros_like(x), y, right, candidates
    path = backend.path(_step, _is_changed, model, images, max_iter, 1 + overshoot)
    return (1 + overshoot) * path, right


def _decision(logits):
    return ops.cast(ops.argmax(logits, -1), "int32")


def _is_changed(model, x, y, right):
    """Whether the decision at `x` is another than that of the image it came from."""
    return (_decision(model(x, training=False)) == y) != right


def _step(model, x, y, right, candidates):
    """The step of each image onto the boundary that it is led to, made linear at `x`."""
    logits, pull_back = backend.pull_back(lambda x: model(x, training=False), x)
    classes = logits.shape[-1]

    def boundary(source, target):
        """`z_target - z_source` and its gradient."""
        sides = ops.one_hot(target, classes, dtype=logits.dtype) - ops.one_hot(source, classes, dtype=logits.dtype)
        return ops.sum(sides * logits, -1), pull_back(sides)

    distances = [-value / l2(gradient) for value, gradient in (boundary(y, c) for c in ops.unstack(candidates, axis=1))]
    nearest = ops.take_along_axis(candidates, ops.argmin(ops.stack(distances, 1), 1)[:, None], axis=1)[:, 0]
    value, gradient = boundary(ops.where(right, y, _decision(logits)), ops.where(right, nearest, y))
    size = l2(gradient)
    # Where the gradient has all but vanished the linear distance means nothing: no step is longer than the image.
    length = ops.minimum(-value / size, l2(x))
    return gradient * (length / size)[:, None, None, None]
