"""Every trained entry of the zoo in every mode: converted, run, and held against its Keras model."""

import functools
import math
import re

import numpy as np
import pytest

from tfrobust import attacks, data, export, zoo
from tfrobust.attacks.gradient import pgd_step
from tfrobust.export import flatbuffer
from tfrobust.export.calibration import typical
from tfrobust.export.convert import INTEGERS, QUANTIZE, convert
from tfrobust.types import Bounds, ThreatModel

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

ENTRIES = [card.name for card in zoo.list_models(trained=True)]
IMAGES, RANDOM_IMAGES, CALIBRATION = 500, 150, 200
POINT = 0.01 + 1e-9  # of accuracy; the rest is for the rounding of floats
GREY_LEVEL = 1 / 255
PASSES, KERAS_PASSES = 20, 100  # of random files (at least) and of their models, which run in batches and are cheap
STANDARD_ERROR = 0.0025  # of a difference of mean accuracies over passes: a point is four of them
REFUSED = {
    "packed": "packed needs a model with kernels of at most 256 levels",
    "int8x16": "int8x16 needs a model (that selects between no two tensors|whose kernels are the same)",
}
WEIGHT = {None: 4, "float16": 2, "dynamic": 1, "int8": 1, "int8x16": 1, "packed": 4}  # bytes of one of a kernel
# Bytes for an output channel: its bias (4, or 2 of float16, or 8 of int8x16), and for each quantized tensor that it is
# in (its kernel; of integers its bias too) a scale (4) and a zero point (8). int8x16 keeps a kernel's range (8) too.
CHANNEL = {None: 4, "float16": 2, "dynamic": 4 + 12, "int8": 4 + 24, "int8x16": 8 + 24 + 8, "packed": 4 + 12}
TENSOR, FILE = 220, 1024  # bytes that describe a tensor and the operation that makes it, and what a file needs besides
RANGE = 24  # bytes of the least and the greatest value of an activation, which int8x16 keeps too
COMPARED = 64  # bytes of each of the two tensors more by which int8x16 brings the sides of a comparison to one scale
SMALLEST_DYNAMIC = 1024  # weights; the converter leaves smaller kernels float


def is_refused(name, quantize):
    """What README and docstrings say of the modes that not every network has."""
    lacks_int16 = any(kind in name for kind in ("sqa", "fixed", "randbnn"))
    can_pack = re.search(r"_(w\d|bnn)", name) is not None
    return (quantize == "packed" and not can_pack) or (quantize == "int8x16" and lacks_int16)


def threat(name):
    card = zoo.card(name)
    eps = next(eps for eps in (8 / 255, 0.1, 0.3) if str(ThreatModel(eps, np.inf, Bounds())) == card.threat)
    return card.data, eps, card.verdict


@functools.cache
def images(dataset):
    """Test images, their labels, and training images for calibration."""
    test = data.load(dataset, n=IMAGES)
    return test.pixels(), test.labels, data.load(dataset, "train", CALIBRATION).pixels()


@functools.cache
def material(name):
    """Model, images and labels."""
    x, y, _ = images(threat(name)[0])
    n = RANDOM_IMAGES if zoo.card(name).is_random else len(x)
    return zoo.load(name), x[:n], y[:n]


@functools.cache
def attacked(name):
    """PGD images made for a model, in 8 bits."""
    (model, x, y), (_, eps, _) = material(name), threat(name)
    change = attacks.PGD(eps=eps, eps_iter=pgd_step(eps), nb_iter=40, eot=1)(model, x, y).x_adv - x
    # 8 bits inside the budget, as a camera gives: else an int8 file sees images rounded beyond it.
    return (x + np.trunc(change * 255 + np.sign(change) * 1e-3) / 255).astype("float32")


def labels(call, x, passes):
    """Predicted classes, `[passes, n]`."""
    return np.stack([np.asarray(call(x)).argmax(-1) for _ in range(passes)])


@functools.cache
def keras_labels(name, of):
    model, x, _ = material(name)
    passes = KERAS_PASSES if zoo.card(name).is_random else 1
    return labels(attacks.Victim(model, x[:4], eot=1).logits, of(name), passes)


def usual(labels):
    """Most frequent class of each image, and whether four passes in five give it; of one pass, all do."""
    counts = np.stack([np.bincount(column, minlength=10) for column in labels.T])
    return counts.argmax(-1), counts.max(-1) >= 0.8 * len(labels)


@functools.cache
def unsteady(name):
    """Share of images whose label changes with noise of half a grey level, where it is more than a hundredth.

    Deep staircases amplify any rounding, so that no file of theirs can keep all labels, not even one of float16.
    """
    model, x, _ = material(name)
    if zoo.card(name).is_random:
        return 0.0
    noise = np.random.default_rng(0).uniform(-GREY_LEVEL / 2, GREY_LEVEL / 2, x.shape).astype("float32")
    (moved,) = labels(attacks.Victim(model, x[:4]).logits, x + noise, 1)
    share = (moved != keras_labels(name, clean)[0]).mean()
    return share if share > POINT else 0.0


@functools.cache
def tied(name, quantize):
    """Share of images whose label changes when the model's own logits are rounded as the file's are, likewise."""
    if quantize != "int8" or zoo.card(name).is_random:
        return 0.0
    model, x, _ = material(name)
    logits = np.asarray(attacks.Victim(model, x[:4]).logits(x))
    share = (np.round(logits * 255 / np.ptp(logits)).argmax(-1) != logits.argmax(-1)).mean()
    return share if share > POINT else 0.0


def near(name):
    """What two accuracies may differ by: where labels are unsteady three standard errors, as each may go either way."""
    return max(POINT, 3 * (unsteady(name) / len(clean(name))) ** 0.5)


def clean(name):
    return material(name)[1]


def passes_needed(right):
    """Passes of a file until its mean accuracy differs from the model's by one `STANDARD_ERROR`, as draws go."""
    passes, n = right.shape
    if passes == 1:
        return 1
    variance = right.var(0, ddof=1).mean() / n  # of the accuracy of one pass: each image has draws of its own
    left = STANDARD_ERROR**2 - variance / passes
    assert left > 0, "the model itself needs more passes"
    return max(PASSES, math.ceil(variance / left))


@functools.cache
def calibration(name):
    """The training images that the exporter would choose."""
    return typical(material(name)[0], images(threat(name)[0])[2])


@functools.cache
def content(name, quantize):
    return convert(material(name)[0], quantize, calibration(name) if quantize in INTEGERS else None)


@functools.cache
def tensors(name, quantize):
    """How many of them a file has."""
    return len(flatbuffer.read(content(name, quantize), name).subgraphs[0].tensors)


def levels(layer):
    return len(np.unique(layer.kernel_quantizer(layer.kernel)))


def digits(levels):
    """How many numbers of so many levels a byte can tell apart."""
    return max(n for n in range(1, 9) if levels**n <= 256)


def table_bytes(layers):
    """What the bytes of packed kernels stand for: as many floats as they have digits, once for equal levels."""
    counts = {levels(layer) for layer in layers if getattr(layer, "kernel_quantizer", None) is not None}
    return sum(4 * digits(count) * count ** digits(count) for count in counts)


def kernel_bytes(layer, quantize):
    """What a layer's kernel takes in a file, by theory."""
    weights, quantizer = math.prod(layer.kernel.shape), getattr(layer, "kernel_quantizer", None)
    is_drawn = quantizer is not None and quantizer.random  # from float weights, at each call
    if quantize == "dynamic" and (is_drawn or weights < SMALLEST_DYNAMIC):
        return 4 * weights
    if quantize == "packed" and quantizer is not None:
        return math.ceil(weights / digits(levels(layer)))
    return WEIGHT[quantize] * weights


def most_bytes(name, quantize):
    """Kernels at their bits, what stands beside each channel, and a description of each tensor.

    A DQA3 activation is 7 steps of a staircase, each of them operations and tensors: their description is its size.
    """
    layers = [layer for layer in material(name)[0].layers if getattr(layer, "kernel", None) is not None]
    kernels = sum(kernel_bytes(layer, quantize) for layer in layers)
    kernels += table_bytes(layers) if quantize == "packed" else 0
    channels = sum(layer.kernel.shape[-1] for layer in layers)
    constants, kept = 2 * len(layers), 0  # kernels and biases
    if quantize == "int8x16":
        kept = RANGE * (tensors(name, None) - constants) + COMPARED * (tensors(name, "int8x16") - tensors(name, None))
    widened = constants if quantize == "float16" else 0  # each becomes a tensor of float32 again
    return kernels + CHANNEL[quantize] * channels + TENSOR * (tensors(name, None) + widened) + kept + FILE


@pytest.mark.parametrize("quantize", QUANTIZE)
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_in_every_mode_is_what_keras_is_or_is_refused_with_the_reason(name, quantize, tmp_path):
    _, x, y = material(name)
    if is_refused(name, quantize):
        with pytest.raises(ValueError, match=REFUSED[quantize]):
            content(name, quantize)
        return
    (tmp_path / "m.tflite").write_bytes(content(name, quantize))
    file, expected = export.TFLiteModel(tmp_path / "m.tflite"), keras_labels(name, clean)
    found = labels(file, x, passes_needed(expected == y))
    assert file.size <= most_bytes(name, quantize)
    assert abs((found == y).mean() - (expected == y).mean()) <= near(name)
    (ours, _), (theirs, is_sure) = usual(found), usual(expected)
    assert (ours != theirs)[is_sure].mean() <= unsteady(name) + tied(name, quantize) + near(name)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_int8_file_resists_the_images_made_for_its_keras_model_as_it_does(name, tmp_path):
    _, _, y = material(name)
    (tmp_path / "m.tflite").write_bytes(content(name, "int8"))
    expected = keras_labels(name, attacked) == y
    found = labels(export.TFLiteModel(tmp_path / "m.tflite"), attacked(name), passes_needed(expected)) == y
    # Where gradients are masked PGD ends on the edges of the staircase, and rounding decides; never for the worse.
    is_masked = threat(name)[2] in ("masked", "suspicious")
    gain = found.mean() - expected.mean()
    assert gain >= -near(name) and (is_masked or gain <= near(name))
