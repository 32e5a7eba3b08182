"""Monte-Carlo uncertainty and detection: closed forms, known samples, bad input."""

import dataclasses
import gc
import weakref

import helpers
import keras
import numpy as np
import pytest

from tfrobust import architectures, data, layers
from tfrobust.attacks.gradients import compiled_call
from tfrobust.evaluation import LogisticDetector, MixtureDetector, histogram, uncertainty
from tfrobust.evaluation.uncertainty import IMAGES_AT_ONCE

pytestmark = pytest.mark.tensorflow

RATE, SIZE = 0.25, 3
RATES = pytest.mark.parametrize("rate", [RATE, 0.5])  # at 1/2 masks are made of bits, else of uniform numbers


def dropped_model(weight=1.0, units=1, rate=RATE, dropouts=1):
    """Logits `[weight sum_i m_i / (1 - rate), 0]` of images of ones, m_i one with probability 1 - rate."""
    kernel = np.zeros((units, 2), "float32")
    kernel[:, 0] = weight
    dropping = [layers.MCDropout(rate) for _ in range(dropouts)]
    chain = [keras.layers.Flatten(), *dropping, keras.layers.Dense(2, use_bias=False)]
    model = keras.Sequential([keras.Input((units, 1, 1)), *chain])
    model.layers[-1].set_weights([kernel])
    return model


def digits(n=SIZE):
    return data.load("digits", "test", n).pixels()


def numpy_softmax(logits):
    odds = np.exp(logits - logits.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def naive(model, x, passes):
    """Sum, class and variance of eq. 12, by as many calls of the model."""
    probabilities = np.stack([numpy_softmax(np.asarray(compiled_call(model, x))) for _ in range(passes)])
    return probabilities.sum(0), probabilities.sum(0).argmax(-1), probabilities.var(0).mean(-1)


# Monte-Carlo estimates


@RATES
def test_variance_of_one_dropped_unit_is_that_of_a_bernoulli_variable(rate):
    found = uncertainty(dropped_model(rate=rate), np.ones((400, 1, 1, 1)), passes=200)
    p = numpy_softmax(np.array([[1 / (1 - rate), 0], [0, 0]]))[:, 0]  # kept, dropped
    expected = rate * (1 - rate) * (p[0] - p[1]) ** 2  # of either class
    assert found.variance.mean() == pytest.approx(expected * (1 - 1 / 200), rel=0.02)
    assert found.summed[:, 0].mean() / 200 == pytest.approx((1 - rate) * p[0] + rate * p[1], rel=0.005)


@RATES
def test_variance_of_many_dropped_units_is_that_of_their_sum_where_the_softmax_is_straight(rate):
    weight, units = 1e-3, 50
    found = uncertainty(dropped_model(weight, units, rate), np.ones((200, units, 1, 1)), passes=100)
    of_logit = units * weight**2 * rate / (1 - rate)
    assert found.variance.mean() == pytest.approx(of_logit / 16 * (1 - 1 / 100), rel=0.03)  # softmax' = 1/4 at 0


def test_a_model_that_draws_nothing_has_no_variance_and_its_own_softmax():
    x, _ = helpers.linear_images(5)
    model = helpers.linear_model()
    found = uncertainty(model, x, passes=7)
    expected = numpy_softmax(np.asarray(model(x)))
    np.testing.assert_allclose(found.summed, 7 * expected, rtol=1e-5)
    np.testing.assert_array_equal(found.predicted, expected.argmax(-1))
    assert found.variance.max() < 1e-12


def test_the_class_is_that_of_the_summed_softmax_and_not_of_most_passes():
    logits = iter(np.array([[[0.1, 0.0]], [[0.1, 0.0]], [[0.0, 4.0]]]))
    found = uncertainty(lambda x: next(logits), np.zeros((1, 1, 1, 1)), passes=3)
    assert found.predicted.tolist() == [1]


@pytest.mark.parametrize("name", ["lenet_mcd", "lenet_bnn_mcd", "mlp_mcd", "mlp_randbnn", "cnn_small_sqa"])
def test_one_compiled_call_has_the_statistics_of_as_many_calls_of_the_model(name):
    keras.utils.set_random_seed(0)
    model, x = architectures.build(name), digits(20)
    found, (summed, _, variance) = uncertainty(model, x, passes=60), naive(model, x, passes=60)
    assert found.variance.mean() == pytest.approx(variance.mean(), rel=0.2)
    error = np.sqrt(2 * variance.mean() / 60)
    assert np.abs(found.summed - summed).mean() / 60 < 1.5 * error


def test_a_network_that_is_no_chain_of_layers_is_asked_as_a_whole():
    images = keras.Input((4, 1, 1))
    x = layers.MCDropout(RATE)(keras.layers.Flatten()(images))
    model = keras.Model(images, keras.layers.Dense(3)(keras.layers.Add()([x, x])))
    assert (uncertainty(model, np.ones((5, 4, 1, 1)), passes=20).variance > 0).all()


def test_layers_of_unknown_make_count_as_random():
    class Noise(keras.layers.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    model = keras.Sequential([keras.Input((4, 1, 1)), Noise(), keras.layers.Flatten(), keras.layers.Dense(2)])
    assert (uncertainty(model, np.ones((5, 4, 1, 1)), passes=20).variance > 0).all()


@pytest.mark.parametrize("is_chain", [True, False])
def test_the_compiled_passes_die_with_their_model(is_chain):
    images = keras.Input((2, 1, 1))
    x = layers.MCDropout(RATE)(keras.layers.Flatten()(images))
    model = keras.Model(images, keras.layers.Dense(2)(x if is_chain else keras.layers.Add()([x, x])))
    uncertainty(model, np.ones((1, 2, 1, 1)), passes=2)
    alive = weakref.ref(model)
    del model, x, images
    keras.backend.clear_session(free_memory=True)
    gc.collect()
    assert alive() is None


def test_the_seed_decides_and_the_model_s_own_random_state_stays():
    model, x = architectures.build("mlp_mcd"), digits()
    before = [np.array(layer.seed_generator.state) for layer in model.layers if hasattr(layer, "seed_generator")]
    first, again, other = (uncertainty(model, x, passes=5, seed=seed) for seed in (1, 1, 2))
    after = [np.array(layer.seed_generator.state) for layer in model.layers if hasattr(layer, "seed_generator")]
    np.testing.assert_array_equal(first.summed, again.summed)
    assert not np.array_equal(first.summed, other.summed)
    np.testing.assert_array_equal(before, after)


@RATES
def test_chunks_of_images_draw_apart(rate):
    x = np.ones((2 * IMAGES_AT_ONCE, 1, 1, 1))
    found = uncertainty(dropped_model(rate=rate), x, passes=1).summed[:, 0].reshape(2, -1)
    share = np.mean(found[0] == found[1])
    assert share == pytest.approx(rate**2 + (1 - rate) ** 2, abs=0.1)


@RATES
def test_layers_draw_apart(rate):
    """A unit survives two dropouts in a row `(1 - rate)^2` of the time; it would `1 - rate` if both drew alike."""
    found = uncertainty(dropped_model(rate=rate, dropouts=2), np.ones((400, 1, 1, 1)), passes=100)
    p = numpy_softmax(np.array([[1 / (1 - rate) ** 2, 0], [0, 0]]))[:, 0]  # kept twice, dropped
    survived = (found.summed[:, 0].mean() / 100 - p[1]) / (p[0] - p[1])
    assert survived == pytest.approx((1 - rate) ** 2, abs=0.01)


def test_images_beyond_one_chunk_come_back_in_order():
    x, _ = helpers.linear_images(IMAGES_AT_ONCE + 3)
    model = helpers.linear_model()
    np.testing.assert_array_equal(uncertainty(model, x, passes=1).predicted, np.asarray(model(x)).argmax(-1))


# Detection


@pytest.mark.parametrize("kind", [LogisticDetector, MixtureDetector])
def test_a_detector_tells_all_where_the_figures_lie_apart(kind, rng):
    clean, adversarial = rng.exponential(0.001, 500), rng.normal(0.05, 0.002, 500)
    score = kind.fit(clean[:250], adversarial[:250]).score(clean[250:], adversarial[250:])
    assert (score.auc, score.accuracy) == (1.0, 1.0)


@pytest.mark.parametrize("kind", [LogisticDetector, MixtureDetector])
def test_a_detector_can_but_guess_where_the_figures_are_alike(kind, rng):
    clean, adversarial = rng.exponential(0.01, (2, 4000))
    score = kind.fit(clean[:2000], adversarial[:2000]).score(clean[2000:], adversarial[2000:])
    assert score.auc == pytest.approx(0.5, abs=0.04) and score.accuracy == pytest.approx(0.5, abs=0.04)


def test_logistic_regression_finds_the_slope_that_the_odds_were_drawn_from(rng):
    values = rng.uniform(0, 0.02, 40000)
    is_adversarial = rng.uniform(size=values.size) < 1 / (1 + np.exp(-(500 * values - 4)))
    detector = LogisticDetector.fit(values[~is_adversarial], values[is_adversarial])
    assert (detector.slope, detector.intercept) == (pytest.approx(500, rel=0.05), pytest.approx(-4, rel=0.05))


def test_the_roc_curve_and_its_area_are_those_of_pairwise_comparison(rng):
    clean, adversarial = rng.exponential(0.01, 80), rng.exponential(0.02, 60)
    score = LogisticDetector.fit(clean, adversarial).score(clean, adversarial)
    assert score.auc == pytest.approx((adversarial[:, None] > clean).mean())
    assert score.auc == pytest.approx(np.trapezoid(score.found, score.false_alarms))


def test_the_mixture_of_labelled_figures_is_that_of_greatest_likelihood(rng):
    clean, adversarial = rng.exponential(0.003, 300), rng.normal(0.02, 0.004, 100)
    detector = MixtureDetector.fit(clean, adversarial)
    expected = 0.25, clean.mean(), adversarial.mean(), adversarial.std()
    np.testing.assert_allclose(dataclasses.astuple(detector), expected)


def test_expectation_maximisation_finds_a_known_mixture_without_labels(rng):
    truth = MixtureDetector(share=0.4, scale=0.002, mean=0.02, deviation=0.004)
    values = np.concatenate([rng.exponential(truth.scale, 12000), rng.normal(truth.mean, truth.deviation, 8000)])
    found = MixtureDetector(0.5, 0.005, 0.015, 0.01).adapt(np.abs(values))
    np.testing.assert_allclose(dataclasses.astuple(found), dataclasses.astuple(truth), rtol=0.05)


def test_no_step_of_expectation_maximisation_lowers_the_likelihood(rng):
    values = np.concatenate([rng.exponential(0.002, 200), rng.uniform(0, 0.04, 100)])
    steps = [MixtureDetector(0.5, 0.005, 0.015, 0.01)]
    for _ in range(30):
        steps.append(steps[-1].adapt(values, nb_iter=1))
    assert (np.diff([step.log_likelihood(values) for step in steps]) > -1e-9).all()


def test_the_mixture_s_probability_is_bayes_rule():
    detector = MixtureDetector(share=0.3, scale=0.01, mean=0.02, deviation=0.005)
    u = np.array([0.0, 0.01, 0.03])
    gaussian = 0.3 * np.exp(-((u - 0.02) ** 2) / (2 * 0.005**2)) / (0.005 * np.sqrt(2 * np.pi))
    exponential = 0.7 * np.exp(-u / 0.01) / 0.01
    np.testing.assert_allclose(detector.probability(u), gaussian / (gaussian + exponential))


def test_figures_of_a_model_that_draws_nothing_are_told_by_guessing():
    for kind in (LogisticDetector, MixtureDetector):
        score = kind.fit(np.zeros(20), np.zeros(20)).score(np.zeros(30), np.zeros(30))
        assert (score.auc, score.accuracy) == (0.5, 0.5)


def test_histogram_counts_every_figure_in_the_paper_s_bins(rng):
    values = rng.exponential(0.02, 1000)
    counts, edges = histogram(values)
    assert len(counts) == 100 and counts.sum() == 1000
    assert (edges[0], edges[-1]) == (0, 0.035)
    assert counts[-1] == (values >= edges[-2]).sum()


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: uncertainty(helpers.linear_model(), helpers.linear_images(2)[0], passes=0),
            "passes must be an integer",
        ),
        (lambda: uncertainty(helpers.linear_model(), np.full((1, 6, 6, 1), 2.0)), r"images must lie in \[0, 1\]"),
        (lambda: uncertainty(lambda x: x[:, 0, 0], np.ones((2, 2, 2, 1))), "must map images to logits"),
        (lambda: LogisticDetector.fit([-0.1], [0.1]), r"clean must be finite and at least 0.*-0\.1"),
        (lambda: LogisticDetector.fit([0.1], [np.nan]), "adversarial must be finite and at least 0"),
        (lambda: MixtureDetector.fit([], [0.1]), "clean must hold one figure per image"),
        (lambda: MixtureDetector(1.5, 1.0, 0.0, 1.0), r"share must lie in \[0, 1\]. Received: share=1.5"),
        (lambda: MixtureDetector(0.5, 0.0, 0.0, 1.0), "scale and deviation must be above 0.*scale=0.0"),
        (lambda: MixtureDetector(0.5, 1.0, 0.0, 1.0).adapt([0.1], nb_iter=0), "nb_iter must be an integer"),
        (lambda: histogram([0.1], bins=0), "bins must be an integer"),
        (lambda: histogram([0.1], top=0), "top must be above 0. Received: top=0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
