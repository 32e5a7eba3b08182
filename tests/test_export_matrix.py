"""Every trained entry of the zoo in every mode: converted, run, and held against its Keras model."""

import functools
import re

import numpy as np
import pytest

from tfrobust import attacks, data, export, zoo
from tfrobust.export.convert import QUANTIZE, convert
from tfrobust.types import Bounds, ThreatModel

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

ENTRIES = [card.name for card in zoo.list_models(trained=True)]
IMAGES, RANDOM_IMAGES, RANDOM_PASSES, CALIBRATION = 500, 100, 20, 200
MOST = {"float16": 0.52, "dynamic": 0.27, "int8": 0.275, "int8x16": 0.28, "packed": 0.26}  # of the float file
OVERHEAD = 4096  # bytes of operations, scales and names: they count in the files of small networks
REFUSED = {
    "packed": "packed needs a model with kernels of at most 256 levels",
    "int8x16": "int8x16 needs a model (that selects between no two tensors|whose kernels are the same)",
}


def is_refused(name, quantize):
    """What README and docstrings say of the modes that not every network has."""
    lacks_int16 = any(kind in name for kind in ("sqa", "fixed", "randbnn"))
    can_pack = re.search(r"_(w\d|bnn)", name) is not None
    return (quantize == "packed" and not can_pack) or (quantize == "int8x16" and lacks_int16)


def threat(name):
    card = zoo.card(name)
    eps = next(eps for eps in (0.1, 0.3) if str(ThreatModel(eps, np.inf, Bounds())) == card.threat)
    return ("digits" if "digits" in name else "mnist"), eps, card.verdict


@functools.cache
def material(name):
    """Model, images, PGD images made for it (in 8 bits), labels, images for calibration, passes to average."""
    model = zoo.load(name)
    dataset, eps, _ = threat(name)
    passes = RANDOM_PASSES if zoo.card(name).is_random else 1
    test = data.load(dataset, n=RANDOM_IMAGES if passes > 1 else IMAGES)
    pgd = attacks.PGD(eps=eps, eps_iter=eps / 30, nb_iter=40, eot=1)
    x = test.pixels()
    change = pgd(model, x, test.labels).x_adv - x
    # 8 bits inside the budget, as a camera gives: else an int8 file sees images rounded beyond it.
    x_adv = x + np.trunc(change * 255 + np.sign(change) * 1e-3) / 255
    return model, x, x_adv.astype("float32"), test.labels, data.load(dataset, "train", CALIBRATION).pixels(), passes


def mean_logits(call, x, passes):
    return sum(np.asarray(call(x)) for _ in range(passes)) / passes


@functools.cache
def keras_logits(name):
    model, x, x_adv, _, _, passes = material(name)
    return [mean_logits(attacks.Victim(model, x[:4], eot=1).logits, images, passes) for images in (x, x_adv)]


def most(passes):
    """Share of images that may differ: a point; means of 20 draws still differ by an image or two of a hundred."""
    return 0.0101 if passes == 1 else 0.0301


@functools.cache
def float_bytes(name):
    return len(convert(material(name)[0]))


@pytest.mark.parametrize("quantize", QUANTIZE)
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_in_every_mode_is_what_keras_is_or_is_refused_with_the_reason(name, quantize, tmp_path):
    model, x, _, y, calibration, passes = material(name)
    if is_refused(name, quantize):
        with pytest.raises(ValueError, match=REFUSED[quantize]):
            convert(model, quantize, calibration)
        return
    (tmp_path / "m.tflite").write_bytes(convert(model, quantize, calibration))
    file = export.TFLiteModel(tmp_path / "m.tflite")
    logits, expected = mean_logits(file, x, passes), keras_logits(name)[0]
    keeps_floats = "randbnn" in name and quantize in (
        "dynamic",
        "int8x16",
    )  # its kernels are drawn from floats at each call
    assert file.size <= (1 if keeps_floats else MOST.get(quantize, 1)) * float_bytes(name) + OVERHEAD
    assert abs((logits.argmax(-1) == y).mean() - (expected.argmax(-1) == y).mean()) <= most(passes)
    assert (logits.argmax(-1) == expected.argmax(-1)).mean() >= 1 - most(passes)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_int8_file_resists_the_images_made_for_its_keras_model_as_it_does(name, tmp_path):
    model, _, x_adv, y, calibration, passes = material(name)
    (tmp_path / "m.tflite").write_bytes(convert(model, "int8", calibration))
    ours = (mean_logits(export.TFLiteModel(tmp_path / "m.tflite"), x_adv, passes).argmax(-1) == y).mean()
    theirs = (keras_logits(name)[1].argmax(-1) == y).mean()
    # Where gradients are masked PGD ends on the edges of the staircase, and rounding decides; never for the worse.
    is_masked = threat(name)[2] in ("masked", "suspicious")
    assert ours >= theirs - most(passes) and (is_masked or ours <= theirs + most(passes))
