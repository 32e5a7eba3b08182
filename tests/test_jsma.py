"""JSMA: its search for pairs is held to all pairs, its path to the paper's greedy choice restated in numpy."""

import itertools

import helpers
import numpy as np
import pytest
from scipy.special import softmax

from tfrobust.attacks.jsma import JSMA, best_pairs
from tfrobust.types import Outcome

pytestmark = pytest.mark.tensorflow

CLASSES, POINTS = 5, 36


def saliency(alpha, beta, p, q):
    """The formula of the paper, for one image."""
    wanted, others = alpha[p] + alpha[q], beta[p] + beta[q]
    return -wanted * others if wanted > 0 and others < 0 else 0.0


def best_by_brute_force(alpha, beta, allowed):
    """The best pair among all of them, and its saliency."""
    pairs = itertools.combinations(np.flatnonzero(allowed), 2)
    return max(((saliency(alpha, beta, p, q), (p, q)) for p, q in pairs), default=(0.0, None))


def restated(weights, x, target, theta, of, most):
    """Greedy pairs on a linear victim `logits = x weights`, until it says `target`: one image, flat."""
    x = x.copy()
    for _ in range(most // 2):
        if (x @ weights).argmax() == target:
            break
        derivative = weights if of == "logits" else _of_softmax(weights, x)
        alpha, beta = derivative[:, target], np.delete(derivative, target, axis=1).sum(axis=1)
        free = x < 1 if theta > 0 else x > 0
        score, pair = best_by_brute_force(np.sign(theta) * alpha, np.sign(theta) * beta, free)
        if score == 0:
            break
        x[list(pair)] = np.clip(x[list(pair)] + theta, 0, 1)
    return x


def _of_softmax(weights, x):
    p = softmax(x @ weights)
    return p * (weights - (weights @ p)[:, None])


@pytest.fixture
def victim():
    return helpers.linear_model(classes=CLASSES)


@pytest.fixture
def images():
    return helpers.linear_images(n=8, low=0.0, high=1.0)[0]


def weights_of(model):
    return np.asarray(model.layers[-1].get_weights()[0], "float64")


@pytest.mark.parametrize("points", [2, 3, 10, 40])
@pytest.mark.parametrize("slope", [0.0, 1.0, -1.0])  # independent; both high at once; one high where the other is low
def test_the_pruned_search_finds_the_best_of_all_pairs(points, slope, rng):
    alpha = rng.normal(size=(30, points))
    beta = rng.normal(size=(30, points)) - slope * 3 * alpha
    allowed = rng.random((30, points)) < 0.8
    pairs, found = best_pairs(alpha, beta, allowed)
    for row in range(30):
        score, _ = best_by_brute_force(alpha[row], beta[row], allowed[row])
        assert found[row] == (score > 0)
        if found[row]:
            assert allowed[row][pairs[row]].all() and pairs[row, 0] != pairs[row, 1]
            np.testing.assert_allclose(saliency(alpha[row], beta[row], *pairs[row]), score)


def test_the_pruned_search_is_not_confused_by_ties():
    alpha = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    pairs, found = best_pairs(alpha, -alpha, np.ones((2, 4), bool))
    assert found.tolist() == [True, False]
    assert alpha[0, pairs[0]].sum() == 2 and pairs[0, 0] != pairs[0, 1]


def test_no_pair_is_found_where_fewer_than_two_points_may_be_chosen():
    allowed = np.array([[True, False, False], [False, False, False]])
    assert not best_pairs(np.ones((2, 3)), -np.ones((2, 3)), allowed)[1].any()


@pytest.mark.parametrize("of", ["probabilities", "logits"])
@pytest.mark.parametrize("theta", [1.0, -1.0, 0.3])
def test_on_a_linear_victim_it_walks_the_greedy_path_of_the_paper(of, theta, victim, images):
    target = (np.asarray(victim(images)).argmax(-1) + 1) % CLASSES
    result = JSMA(theta=theta, gamma=1.0, of=of, targeted=True)(victim, images, target)
    flat = images.reshape(len(images), -1).astype("float64")
    greedy = [restated(weights_of(victim), x, t, theta, of, 8 * POINTS) for x, t in zip(flat, target, strict=True)]
    np.testing.assert_allclose(result.x_adv.reshape(len(images), -1), greedy, atol=1e-5)


def test_it_stops_at_the_first_pair_that_succeeds(victim, images):
    y = np.asarray(victim(images)).argmax(-1)
    short, longer = (JSMA(gamma=gamma)(victim, images, y) for gamma in (0.3, 1.0))
    assert short.success.any()
    np.testing.assert_array_equal(short.x_adv[short.success], longer.x_adv[short.success])


@pytest.mark.parametrize("gamma", [0.06, 0.2])
def test_no_more_than_the_share_gamma_of_the_pixels_changes(gamma, victim, images):
    y = np.asarray(victim(images)).argmax(-1)
    result = JSMA(theta=0.05, gamma=gamma, targeted=True)(victim, images, (y + 1) % CLASSES)
    changed = (result.x_adv != images).sum(axis=(1, 2, 3))
    assert 0 < changed.max() <= gamma * POINTS
    assert result.x_adv.min() >= 0 and result.x_adv.max() <= 1


def test_the_class_aimed_at_is_the_likeliest_other_one(victim, images):
    logits = np.asarray(victim(images))
    second = np.argsort(-logits, axis=1)[:, 1]
    untargeted = JSMA(gamma=0.5)(victim, images, logits.argmax(-1))
    aimed = JSMA(gamma=0.5, targeted=True)(victim, images, second)
    left_for_it = aimed.success & (np.asarray(victim(untargeted.x_adv)).argmax(-1) == second)
    assert left_for_it.any()
    np.testing.assert_array_equal(untargeted.x_adv[left_for_it], aimed.x_adv[left_for_it])


def test_of_several_targets_the_nearest_result_is_kept(victim, images):
    y = np.asarray(victim(images)).argmax(-1)
    one, all_others = (JSMA(gamma=1.0, n_targets=n)(victim, images, y) for n in (1, CLASSES - 1))
    assert (all_others.distance <= one.distance + 1e-6)[one.success].all()
    assert (all_others.distance < one.distance - 1e-3).any()


@pytest.mark.parametrize("of, price", [("probabilities", 1), ("logits", 2)])
def test_each_step_costs_a_query_per_backward_pass(of, price, victim, images):
    target = (np.asarray(victim(images)).argmax(-1) + 1) % CLASSES
    result = JSMA(gamma=1.0, of=of, targeted=True)(victim, images, target)
    pairs = (result.x_adv != images).sum(axis=(1, 2, 3)) // 2
    np.testing.assert_array_equal(result.queries[result.success], price * (pairs + 1)[result.success])


def test_a_distance_beyond_eps_is_no_success(victim, images):
    y = np.asarray(victim(images)).argmax(-1)
    result = JSMA(gamma=1.0, eps=1e-3)(victim, images, y)
    assert not result.success.any() and Outcome.TOO_FAR in result.outcome


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"theta": 0.0}, "theta must be finite and not 0.*Received: theta=0.0"),
        ({"gamma": 0.0}, r"gamma must lie in \(0, 1\]"),
        ({"gamma": 1.1}, r"gamma must lie in \(0, 1\]"),
        ({"of": "softmax"}, "of must be one of probabilities, logits"),
        ({"n_targets": 0}, "n_targets must be an integer of at least 1"),
        ({"n_targets": 2, "targeted": True}, "a targeted JSMA has one target: n_targets must be 1"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        JSMA(**arguments)
