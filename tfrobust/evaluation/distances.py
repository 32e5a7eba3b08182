"""How far the nearest adversarial images are: the figures that Deep Defense compares models by."""

import numpy as np

from tfrobust import checks, norms
from tfrobust.attacks import FGSM

SCAN = 64  # budgets at which FGSM is tried, evenly spaced up to the largest
HALVINGS = 6  # of the interval in which half of the images fall


def relative_distance(x, x_adv, norm=2):
    """Mean size of the change over the size of the image.

    Formula: `rho = mean ||x_adv - x|| / ||x||`; an image that is wrong already counts with its change of 0.

    Args:
        x: clean images, `[n, height, width, channels]`.
        x_adv: adversarial images of the same shape.
        norm: `numpy.inf` or 2.

    Returns:
        rho, a number.

    Raises:
        ValueError: shapes differ, or an unknown norm.

    Example:
        >>> import numpy as np
        >>> x = np.full((1, 2, 2, 1), 0.5)
        >>> relative_distance(x, x + 0.1, np.inf)
        0.2

    Reference:
        S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: A Simple and Accurate Method to Fool Deep Neural
        Networks", CVPR 2016.
    """
    x, x_adv = np.asarray(x), np.asarray(x_adv)
    checks.require(x.shape == x_adv.shape, "x and x_adv must have the same shape.", x=x.shape, x_adv=x_adv.shape)
    size = norms.get(norm)
    return float(np.round(np.mean(size.distance(x_adv - x) / np.maximum(size.distance(x), 1e-12)), 12))


def least_fgsm_eps(model, x, y, largest=1.0):
    """The least budget at which FGSM fools the model, per image.

    Formula: `min {eps: argmax f(clip(x + eps sign(g))) != y}`, g the gradient at x, 64 even steps up to `largest`.

    Args:
        model: callable from images to logits, or a Keras model.
        x: images in [0, 1], `[n, height, width, channels]`.
        y: true labels, `[n]`.
        largest: largest budget, in pixel units.

    Returns:
        Budgets, `[n]`: 0 where the clean image is wrong already, infinite where no budget fools the model.

    Raises:
        ValueError: `largest` is not above 0.

    Example:
        >>> from tfrobust import architectures, data
        >>> digits = data.load("digits", n=4)
        >>> least_fgsm_eps(architectures.build("mlp"), digits.pixels(), digits.labels).shape
        (4,)

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018,
        supplement, eq. 2.
    """
    checks.require(largest > 0, "largest must be above 0.", largest=largest)
    least = np.where(np.asarray(model(x)).argmax(-1) == y, np.inf, 0.0)
    for eps in np.linspace(0, largest, SCAN + 1)[1:]:
        rows = np.flatnonzero(np.isinf(least))
        if len(rows) == 0:
            break
        least[rows[FGSM(eps=float(eps))(model, x[rows], y[rows]).success]] = eps
    return least


def reference_eps(model, x, y, largest=1.0):
    """The budget at which FGSM makes the model wrong on half of the images, by bisection.

    Formula: `accuracy(eps_ref) = 1/2`.

    Args:
        model, x, y, largest: see `least_fgsm_eps`.

    Returns:
        eps_ref, a number; `largest` where the model stays right on more than half.

    Raises:
        ValueError: the model is wrong on half of the clean images, or `largest` is not above 0.

    Example:
        >>> from tfrobust import data, zoo
        >>> digits = data.load("digits", n=32)
        >>> 0 < reference_eps(zoo.load("lenet_dqa2.digits_pgd"), digits.pixels(), digits.labels) < 1
        True

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018,
        section 4.1.
    """
    checks.require(largest > 0, "largest must be above 0.", largest=largest)

    def accuracy(eps):
        return 1 - FGSM(eps=float(eps))(model, x, y).success.mean()

    clean = accuracy(0.0)
    checks.require(clean > 0.5, "the model must be right on more than half of the clean images.", accuracy=clean)
    low, high = 0.0, None
    for eps in np.linspace(0, largest, SCAN // 4 + 1)[1:]:  # the first crossing: it need not fall all along
        if accuracy(eps) <= 0.5:
            high = float(eps)
            break
        low = float(eps)
    for _ in range(0 if high is None else HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if accuracy(middle) <= 0.5 else (middle, high)
    return float(largest) if high is None else high


def perceptual_similarity(x, x_adv):
    """Mean structural similarity of images and their adversarial ones: 1 where they look the same.

    PASS without its alignment (our reading: an attack's change moves no object).

    Args:
        x: clean images in [0, 1], `[n, height, width, channels]`, at least 11 x 11.
        x_adv: adversarial images of the same shape.

    Returns:
        A number, at most 1.

    Raises:
        ValueError: shapes differ.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).uniform(size=(2, 28, 28, 1)).astype("float32")
        >>> perceptual_similarity(x, x)
        1.0

    Reference:
        A. Rozsa, E. M. Rudd, T. E. Boult, "Adversarial Diversity and Hard Positive Generation", CVPR workshops 2016.
    """
    import tensorflow as tf

    x, x_adv = np.asarray(x), np.asarray(x_adv)
    checks.require(x.shape == x_adv.shape, "x and x_adv must have the same shape.", x=x.shape, x_adv=x_adv.shape)
    return float(tf.reduce_mean(tf.image.ssim(x, x_adv, max_val=1.0)))
