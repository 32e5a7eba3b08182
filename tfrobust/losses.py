"""Losses of logits, per image, on any Keras backend."""

import keras
import numpy as np
from keras import ops


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
