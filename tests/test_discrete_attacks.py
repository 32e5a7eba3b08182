"""Discrete gradient ascent against rounded images, and attacks that share a batch."""

import helpers
import keras
import numpy as np
import pytest

from tfrobust import architectures, attacks, layers, losses
from tfrobust.attacks import BPDA, DiscreteAscent, Split, Square
from tfrobust.evaluation import inspection, suites
from tfrobust.training import AdversarialTraining
from tfrobust.training.adversarial import scaled
from tfrobust.types import ThreatModel

pytestmark = pytest.mark.tensorflow


def rounded(bits, model):
    """`model` behind a rounding of its images to `bits`, with an identity for its gradient."""
    images = keras.Input(helpers.LINEAR_SHAPE)
    settings = {"input_quantizer": f"dorefa_activations{bits}", "use_bias": False, "kernel_initializer": "ones"}
    quantizer = layers.QuantConv2D(1, 1, **settings)
    return keras.Model(images, model(quantizer(images)))


def worst_margin(model, x, y, bits, eps):
    """The least margin that a linear victim of rounded images can be brought to: every pixel to its better end."""
    steps = 2**bits - 1
    away = np.where(y == 1, -1.0, 1.0)[:, None, None, None] * helpers.linear_weights(model)
    high, low = np.clip(x + eps, 0, 1), np.clip(x - eps, 0, 1)
    best = np.round(np.where(away > 0, high, low) * steps) / steps
    return np.asarray(losses.margin(y, model(best.astype("float32"))))


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("rand_init", [False, True])
def test_a_linear_victim_of_rounded_images_is_brought_to_its_exact_worst_margin(bits, rand_init):
    linear = helpers.linear_model()
    x = np.random.default_rng(1).uniform(0, 1, (16, *helpers.LINEAR_SHAPE)).astype("float32")
    model = rounded(bits, linear)
    y = np.asarray(model(x)).argmax(-1)
    result = DiscreteAscent(eps=0.2, nb_iter=12, n_first=8, bits=bits, rand_init=rand_init)(model, x, y)
    reached = np.asarray(losses.margin(y, model(result.x_adv)))
    np.testing.assert_allclose(reached, worst_margin(linear, x, y, bits, 0.2), atol=1e-5)


def test_a_step_moves_the_pixels_that_gain_the_most_and_only_those_that_cross_a_level():
    linear = helpers.linear_model()
    x = np.full((1, *helpers.LINEAR_SHAPE), 0.4, "float32")
    x[0, 0] = 0.1  # this row cannot cross one half
    model = rounded(1, linear)
    y = np.asarray(model(x)).argmax(-1)
    moved = DiscreteAscent(eps=0.2, nb_iter=1, n_first=3).propose(attacks.Victim(model, x), x, y, None) != x
    gain = np.where(y == 1, -1.0, 1.0) * helpers.linear_weights(linear)[..., 0]
    gain[0] = -np.inf
    assert set(np.flatnonzero(moved)) == set(np.argsort(-gain.ravel())[:3])


def test_a_targeted_ascent_brings_the_target_nearer():
    model, x = rounded(1, helpers.linear_model()), helpers.linear_images()[0]
    target = 1 - np.asarray(model(x)).argmax(-1)
    x_adv = DiscreteAscent(eps=0.3, targeted=True)(model, x, target).x_adv
    assert (losses.margin(target, model(x_adv)) > losses.margin(target, model(x))).numpy().all()


@pytest.mark.parametrize(
    "name, bits",
    [
        ("lenet", None),
        ("lenet_dqa2", None),
        ("lenet_in1", 1),
        ("mlp_in3_w4", 3),
        ("cnn_small_in2_sqa", 2),
        ("resnet20x2_in1", 1),
        ("lenet_w1a2", None),
    ],
)
def test_the_bits_of_the_images_are_read_off_the_model(name, bits):
    assert inspection.input_bits(architectures.build(name)) == bits
    assert inspection.input_bits(lambda x: x) is None


def test_the_adaptive_suite_uses_it_against_rounded_images_by_every_pseudo_derivative():
    def found(name):
        plan = suites.adaptive(ThreatModel(0.3), architectures.build(name)).attacks
        return [attack.name for attack in plan if "DGA" in attack.name]

    others = inspection.other_surrogates(architectures.build("lenet_in1_dqa2"))
    starts = "DGA-60", "DGA-60 from random ends"
    by_each = [start + by for start in starts for by in ("", *(f" (BPDA {name})" for name in others))]
    assert found("lenet_dqa2") == [] and len(others) >= 2
    assert sorted(found("lenet_in1_dqa2")) == sorted(by_each)


def test_attacks_of_a_split_share_the_batch_and_keep_their_own_count_of_queries():
    x, y = helpers.linear_images(10)
    model = helpers.linear_model()
    short, long = (attacks.PGD(eps=0.1, eps_iter=0.02, nb_iter=n, rand_init=False) for n in (2, 5))
    result, alone = Split((short, BPDA(long, "soft")))(model, x, y), (short(model, x, y), long(model, x, y))
    for first, each in enumerate(alone):
        np.testing.assert_array_equal(result.x_adv[first::2], each.x_adv[first::2])
    np.testing.assert_array_equal(result.queries, [2, 5] * 5)


def test_a_split_is_one_attack_in_training_whose_budget_ramps():
    split = Split((attacks.FGSM(eps=0.2), BPDA(attacks.FGSM(eps=0.2), "soft")))
    assert scaled(split, 0.5) == Split((attacks.FGSM(eps=0.1), BPDA(attacks.FGSM(eps=0.1), "soft")))
    assert str(AdversarialTraining(split).attack.threat) == "Linf 0.2 on [0,1]"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DiscreteAscent(eps=0.1, nb_iter=0), "nb_iter must be an integer of at least 1"),
        (lambda: DiscreteAscent(eps=0.1, n_first=0), "n_first must be an integer of at least 1"),
        (lambda: DiscreteAscent(eps=0.1, bits=9), "bits must be an integer from 1 to 8"),
        (lambda: DiscreteAscent(eps=0.1, norm=2), "DiscreteAscent works in Linf only: norm must be inf"),
        (lambda: Split(()), "a split needs at least one attack"),
        (lambda: Split((attacks.FGSM(eps=0.1), attacks.FGSM(eps=0.2))), "must have one threat model.*FGSM Linf 0.2"),
        (lambda: Split((attacks.FGSM(eps=0.1), Square(eps=0.1, norm=2, n_queries=9))), "must have one threat model"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
