"""The low-precision paper's networks: one linear unit, a perceptron for spheres, three large convolutions."""

import keras
from keras import ops

from tfrobust import checks, layers
from tfrobust.architectures import blocks, colour
from tfrobust.architectures.mnist import DIGITS
from tfrobust.architectures.policy import Policy


def logistic(policy=Policy(), input_shape=DIGITS, name="logistic"):
    """Logistic regression: one linear unit z between two classes, as the logits (0, z).

    The softmax of (0, z) is the sigmoid of z. The one kernel there is gets quantized, other than a first and last
    layer elsewhere: `logistic_bnn`, `logistic_w4`.

    Args:
        policy: a `Policy` without activation, dropout and gradient, for which there is no hidden layer.
        input_shape: `(height, width, channels)`.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, 2]`.

    Raises:
        ValueError: a policy for hidden layers.

    Example:
        >>> logistic(Policy(kernel="kbit4")).count_params() == 28 * 28 + 1
        True

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Predicting Adversarial Examples with High Confidence", arXiv 2018,
        section 5.1.1 (threes against sevens).
    """
    of_hidden = Policy(policy.activation, dropout=policy.dropout, gradient=policy.gradient)
    checks.require(of_hidden == Policy(), "logistic has no hidden layer to quantize.", policy=policy)
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Flatten(name="flatten")(images)
    quantizers = {"kernel_quantizer": policy.kernel, "input_quantizer": policy.input}
    z = layers.QuantDense(1, name="logits", **quantizers)(x)
    return keras.Model(images, ops.concatenate([ops.zeros_like(z), z], axis=-1), name=name)


def mlp_spheres(policy=Policy(), input_shape=(2,), units=1000, name="mlp_spheres"):
    """Perceptron with two hidden layers that tells an inner from an outer sphere: `mlp_spheres_w1a2` is the paper's.

    Its input are points, not pixels. A hidden layer with a quantized kernel gets batch normalization, one with a float
    kernel, as the first always has, none.

    Args:
        policy: a `Policy`.
        input_shape: `(dimensions,)`.
        units: units of each hidden layer; 1,000 are those of the paper that posed the problem (our reading).
        name: name of the Keras model.

    Returns:
        `keras.Model` from points `[batch, dimensions]` to logits `[batch, 2]`.

    Raises:
        ValueError: `units` below 1.

    Example:
        >>> mlp_spheres(units=4).count_params() == 3 * 4 + 5 * 4 + 5 * 2
        True

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Predicting Adversarial Examples with High Confidence", arXiv 2018,
        section 5.1.2; the problem is from J. Gilmer et al., "Adversarial Spheres", ICLR 2018 workshop.
    """
    checks.count(units, "units")
    points = keras.Input(input_shape, name="points")
    x = blocks.dense_activate(points, policy, units, position=0, is_first=True)
    x = blocks.dense(x, policy, units, position=1)
    x = blocks.activate(_centred(x, policy, position=1), policy, position=1)
    return keras.Model(points, blocks.logits(x, 2), name=name)


def conv3(policy=Policy(), input_shape=colour.CIFAR, classes=10, mean=colour.MEAN, std=colour.STD, name="conv3"):
    """Three large convolutions: conv8-64 of stride 2 over padded images, conv6-128, conv5-128, readout.

    Convolutions with a quantized kernel get batch normalization, as in the paper; the first one's is float.

    Args:
        policy: a `Policy`.
        input_shape: `(height, width, channels)`, at least 19 x 19; the paper's are CIFAR-10's and MNIST's.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel (our reading; the
            paper standardises CIFAR-10 image by image, which would move the bounds of an attack with the image).
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, classes]`.

    Raises:
        ValueError: `mean` or `std` that does not fit the channels.

    Example:
        >>> conv3(Policy("dqa1"), input_shape=(28, 28, 1)).output_shape
        (None, 10)

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Predicting Adversarial Examples with High Confidence", arXiv 2018,
        table 2.
    """
    images = keras.Input(input_shape, name="images")
    x, policy = colour.standardized(images, policy, mean, std)
    x = blocks.conv_activate(x, policy, 64, 8, position=0, strides=2)
    for position, kernel_size in ((1, 6), (2, 5)):
        x = blocks.conv(x, policy, 128, kernel_size, position)
        x = blocks.activate(_centred(x, policy, position), policy, position)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(images, blocks.logits(x, classes), name=name)


def _centred(x, policy, position):
    """Batch normalization behind a quantized kernel, so that what is quantized next lies around zero."""
    return blocks.norm(x, position + 1) if policy.kernel else x
