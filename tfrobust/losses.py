"""Losses of logits, per image, on any Keras backend.

An attacker climbs them: `cross_entropy`, `negative_margin(kappa)`, `dlr`, `targeted_dlr`.
"""

import functools

import keras
import numpy as np
from keras import ops

from tfrobust import checks


def cross_entropy(labels, logits):
    """Softmax cross-entropy `log(sum_j exp z_j) - z_y`.

    Args:
        labels: integer class, `[batch]`.
        logits: `[batch, classes]`.

    Returns:
        Loss per image, `[batch]`.

    Example:
        >>> float(cross_entropy([0], [[0.0, 0.0]])[0])  # doctest: +ELLIPSIS
        0.693...
    """
    labels, logits = ops.convert_to_tensor(labels), ops.convert_to_tensor(logits)
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def cross_entropy_to(labels, logits):
    """Cross-entropy to a distribution, `-sum_j p_j log softmax(z)_j`: the divergence from it, up to a constant.

    Args:
        labels: the distribution p, `[batch, classes]`.
        logits: `[batch, classes]`.

    Returns:
        Loss per image, `[batch]`.

    Example:
        >>> float(cross_entropy_to([[0.5, 0.5]], [[0.0, 0.0]])[0])  # doctest: +ELLIPSIS
        0.693...
    """
    return -ops.sum(labels * ops.log_softmax(ops.convert_to_tensor(logits)), axis=-1)


def margin(labels, logits):
    """Margin of the true class, `z_y - max_{j != y} z_j`: negative where the model is wrong.

    Args:
        labels: integer class, `[batch]`.
        logits: `[batch, classes]`.

    Returns:
        Margin per image, `[batch]`.

    Example:
        >>> float(margin([1], [[0.5, 2.0]])[0])
        1.5

    Reference:
        N. Carlini, D. Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P 2017.
    """
    logits = ops.convert_to_tensor(logits)
    is_true = ops.one_hot(labels, logits.shape[-1], dtype="bool")
    of_true = ops.sum(ops.where(is_true, logits, 0.0), axis=-1)
    return of_true - ops.max(ops.where(is_true, -np.inf, logits), axis=-1)


@functools.cache  # one object per kappa: attacks compile a graph for each loss that they meet
def negative_margin(confidence):
    """The loss `min(max_{j != y} z_j - z_y, kappa)`: what is wrong by `confidence` (kappa) has no gradient left.

    Args:
        confidence: kappa, in logits, at least 0.

    Returns:
        A loss `(labels [batch], logits [batch, classes]) -> [batch]`.

    Example:
        >>> float(negative_margin(1.0)([1], [[0.5, 2.0]])[0])
        -1.5

    Reference:
        N. Carlini, D. Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P 2017.
    """

    def loss(labels, logits):
        return ops.minimum(-margin(labels, logits), confidence)

    return loss


def dlr(labels, logits):
    """Difference of logits ratio `-(z_y - max_{j != y} z_j) / (z_1st - z_3rd)`: blind to the scale of the logits.

    Args:
        labels: integer class, `[batch]`.
        logits: `[batch, classes]`, at least 3 classes.

    Returns:
        Loss per image, `[batch]`, at most 1; above 0 where the model is wrong.

    Raises:
        ValueError: fewer than 3 classes.

    Example:
        >>> float(dlr([0], [[4.0, 2.0, 0.0]])[0])
        -0.5

    Reference:
        F. Croce, M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
        Attacks", ICML 2020.
    """
    logits = ops.convert_to_tensor(logits)
    checks.require(logits.shape[-1] >= 3, "the DLR loss needs at least 3 classes.", classes=logits.shape[-1])
    largest = ops.top_k(logits, 3)[0]
    return -margin(labels, logits) / (largest[:, 0] - largest[:, 2] + 1e-12)


def targeted_dlr(labels, logits):
    """Targeted difference of logits ratio `-(z_y - z_t) / (z_1st - (z_3rd + z_4th) / 2)`.

    Args:
        labels: true class y and class to reach t, `[batch, 2]`.
        logits: `[batch, classes]`, at least 3 classes (with 3, the third stands for the fourth too).

    Returns:
        Loss per image, `[batch]`.

    Raises:
        ValueError: fewer than 3 classes.

    Example:
        >>> float(targeted_dlr([[0, 2]], [[4.0, 2.0, 0.0, 0.0]])[0])
        -1.0

    Reference:
        F. Croce, M. Hein, as `dlr`.
    """
    logits, labels = ops.convert_to_tensor(logits), ops.convert_to_tensor(labels)
    checks.require(logits.shape[-1] >= 3, "the DLR loss needs at least 3 classes.", classes=logits.shape[-1])
    largest = ops.top_k(logits, min(4, logits.shape[-1]))[0]
    both = ops.take_along_axis(logits, labels, axis=-1)
    return -(both[:, 0] - both[:, 1]) / (largest[:, 0] - (largest[:, 2] + largest[:, -1]) / 2 + 1e-12)
