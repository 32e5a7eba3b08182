"""Attacks that look for the least distance: held to a linear victim's, with and without the box, and to a real net."""

import dataclasses

import helpers
import keras
import numpy as np
import pytest

from tfrobust import attacks, data, losses, norms, zoo
from tfrobust.attacks import boundary
from tfrobust.attacks.carlini_wagner import CarliniWagnerL2
from tfrobust.attacks.deepfool import DeepFool
from tfrobust.attacks.fab import FAB
from tfrobust.types import Outcome

pytestmark = pytest.mark.tensorflow

TABLE = {
    "deepfool-l2": DeepFool(),
    "deepfool-linf": DeepFool(norm=np.inf),
    "cw-l2": CarliniWagnerL2(),
    "fab-l2": FAB(max_iter=20),
    "fab-linf": FAB(max_iter=20, norm=np.inf),
    "fab_t-l2": FAB(max_iter=20, n_target_classes=2),
    "fab_t-linf": FAB(max_iter=20, n_target_classes=2, norm=np.inf),
}
UNTARGETED = pytest.mark.parametrize("attack", TABLE.values(), ids=TABLE)
BOTH_WAYS = pytest.mark.parametrize("attack", list(TABLE.values())[:5], ids=list(TABLE)[:5])


def least_distance(model, x, y, norm):
    """A linear victim's least distance inside the box [0, 1], by bisection of the optimal change's size."""
    away = np.where(y == 1, -1.0, 1.0)[:, None, None, None] * helpers.linear_weights(model)
    margin = np.asarray(losses.margin(y, model(x)))
    low, high = np.zeros(len(x)), np.full(len(x), 100.0)
    for _ in range(60):
        middle = (low + high) / 2
        direction = np.sign(away) if norm == np.inf else away
        change = np.clip(x + boundary.per_image(middle) * direction, 0, 1) - x
        reached = (change * away).sum((1, 2, 3)) >= margin
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return norms.get(norm).distance(change)


@UNTARGETED
@pytest.mark.parametrize("low, high", [(0.3, 0.7), (0.0, 1.0)], ids=["inside", "at_the_bounds"])
def test_a_linear_victim_is_fooled_at_its_least_distance_inside_the_box(attack, low, high):
    x, y = helpers.linear_images(low=low, high=high)
    x = np.where(x < 0.2, 0, np.where(x > 0.8, 1, x)).astype("float32")
    model = helpers.linear_model()
    y = np.asarray(model(x)).argmax(-1)
    result = attack(model, x, y)
    best = least_distance(model, x, y, attack.norm)
    assert result.success.all() and 0 <= result.x_adv.min() and result.x_adv.max() <= 1
    assert 0.999 < (result.distance / best).min() and (result.distance / best).max() < 1.05


def test_the_oracle_is_the_margin_over_the_dual_norm_where_the_box_plays_no_part():
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    margin, weights = np.asarray(losses.margin(y, model(x))), helpers.linear_weights(model)
    np.testing.assert_allclose(least_distance(model, x, y, np.inf), margin / np.abs(weights).sum(), rtol=1e-4)
    np.testing.assert_allclose(least_distance(model, x, y, 2), margin / np.linalg.norm(weights), rtol=1e-4)


@BOTH_WAYS
def test_a_targeted_attack_reaches_its_label_at_its_least_distance(attack):
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    result = dataclasses.replace(attack, targeted=True)(model, x, 1 - y)
    assert (np.asarray(model(result.x_adv)).argmax(-1) == 1 - y).all()
    assert (result.distance / least_distance(model, x, y, attack.norm)).max() < 1.05


@BOTH_WAYS
def test_a_targeted_attack_reaches_one_label_of_many(attack):
    x, _ = helpers.linear_images()
    model = helpers.linear_model(classes=5)
    y = np.asarray(model(x)).argsort(-1)[:, 1]
    result = dataclasses.replace(attack, targeted=True)(model, x, y)
    assert result.success.all()
    assert (np.asarray(model(result.x_adv)).argmax(-1) == y).all()


@UNTARGETED
def test_an_image_that_is_found_too_far_away_is_no_success(attack):
    x, y = helpers.linear_images()
    least = least_distance(helpers.linear_model(), x, y, attack.norm)
    result = dataclasses.replace(attack, eps=float(np.median(least)))(helpers.linear_model(), x, y)
    far = least > 1.06 * np.median(least)
    assert far.any() and set(result.outcome[far]) == {Outcome.TOO_FAR} and not result.success[far].any()
    assert result.success[least < 0.94 * np.median(least)].all()


@UNTARGETED
def test_an_image_s_result_does_not_depend_on_the_others(attack):
    x, _ = helpers.linear_images(6)
    model = helpers.linear_model(classes=5)
    together, alone = (attack(model, x, batch_size=size) for size in (6, 1))
    np.testing.assert_allclose(together.x_adv, alone.x_adv, atol=1e-3)
    np.testing.assert_allclose(together.distance, alone.distance, rtol=1e-3)


def test_the_same_seed_gives_the_same_images_and_another_seed_other_ones():
    x, _ = helpers.linear_images()
    wavy = keras.layers.Dense(8, activation=keras.ops.sin, kernel_initializer=keras.initializers.RandomNormal(stddev=1))
    model = keras.Sequential([keras.Input(helpers.LINEAR_SHAPE), keras.layers.Flatten(), wavy, keras.layers.Dense(3)])
    first, again, other = (FAB(max_iter=1, n_restarts=5, seed=seed)(model, x).x_adv for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@UNTARGETED
def test_images_that_are_wrong_already_cost_next_to_nothing(attack):
    x, y = helpers.linear_images()
    labels = np.where(np.arange(len(x)) < 8, 1 - y, y)
    result = attack(helpers.linear_model(), x, labels)
    assert (result.distance[:8] == 0).all()
    assert result.queries[:8].max() <= 4 < result.queries[8:].min()


def test_fab_stops_at_images_within_its_budget():
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    free, bounded = (FAB(eps=eps)(model, x, y) for eps in (None, 5.0))
    assert bounded.success.all() and bounded.queries.max() < free.queries.min() / 5


def test_fab_t_spends_one_gradient_per_step_and_class():
    x, y = helpers.linear_images()
    model = helpers.linear_model(classes=5)
    result = FAB(max_iter=10, n_target_classes=3)(model, x, np.asarray(model(x)).argmax(-1))
    assert result.queries.max() <= 10 * 3 * 2 + 1 + 2 + boundary.SEARCH_STEPS


def test_deepfool_considers_the_likeliest_classes_only():
    x, _ = helpers.linear_images()
    model = helpers.linear_model(classes=5)
    second = np.asarray(model(x)).argsort(-1)[:, -2]
    result = DeepFool(n_candidates=2)(model, x)
    np.testing.assert_array_equal(np.asarray(model(result.x_adv)).argmax(-1), second)


def test_carlini_and_wagner_s_images_keep_the_confidence_asked_for():
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    result = CarliniWagnerL2(confidence=2.0)(model, x, y)
    margin = np.asarray(losses.margin(y, model(result.x_adv)))
    assert margin.max() <= -2 + 1e-3 and margin.min() > -2.3


def test_few_steps_of_carlini_and_wagner_s_are_long_ones():
    assert [CarliniWagnerL2(max_iter=n).rate for n in (1, 10, 80, 1000)] == [0.4, 0.4, 0.05, 0.01]
    assert CarliniWagnerL2(max_iter=10, learning_rate=0.02).rate == 0.02
    model = zoo.load("lenet_dqa2.digits_pgd")
    test = data.load("digits", "test", 32)
    x, y = np.asarray(test.pixels()), test.labels
    few = {"binary_search_steps": 5, "max_iter": 10}
    long, short = (CarliniWagnerL2(**few, **rate)(model, x, y) for rate in ({}, {"learning_rate": 0.01}))
    assert long.success.all() and not short.success.all()


def test_giving_images_up_early_saves_passes_and_keeps_the_distance():
    x, y = helpers.linear_images()
    early, full = (CarliniWagnerL2(abort_early=abort)(helpers.linear_model(), x, y) for abort in (True, False))
    assert early.queries.mean() < 0.8 * full.queries.mean()
    assert early.distance.mean() < 1.01 * full.distance.mean()


@UNTARGETED
def test_a_temperature_changes_nothing_against_a_linear_victim(attack):
    x, y = helpers.linear_images(4)
    model = helpers.linear_model()
    result = attacks.Temperature(attack, 10.0)(model, x, y)
    assert (result.distance / least_distance(model, x, y, attack.norm)).max() < 1.05


class Shaken:
    """A linear victim whose logits shake by much more than rounding, and by less than its margins."""

    def __init__(self):
        import tensorflow as tf

        self.model, self.random = helpers.linear_model(), tf.random.Generator.from_seed(1)

    def __call__(self, x):
        return self.model(x) + 0.02 * self.random.normal((1, 2))


@UNTARGETED
def test_a_random_model_is_fooled_in_most_passes(attack):
    x, y = helpers.linear_images(4)
    result = dataclasses.replace(attack, eot=1)(Shaken(), x, y)
    assert result.success.mean() >= 0.75
    assert (result.distance / least_distance(helpers.linear_model(), x, y, attack.norm)).max() < 1.2


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_a_step_onto_a_hyperplane_arrives_and_is_the_least_inside_the_box(norm, rng):
    x = rng.uniform(size=(8, 3, 3, 1)).astype("float32")
    gradient = rng.normal(size=x.shape).astype("float32")
    gap = np.linspace(-1.5, 1.5, 8).astype("float32")
    step = boundary.step_onto(x, gap, gradient, (0.0, 1.0), norm)
    np.testing.assert_allclose((step * gradient).sum((1, 2, 3)), gap, rtol=1e-4)
    assert (x + step).min() > -1e-6 and (x + step).max() < 1 + 1e-6
    for other in _feasible(rng, x, gap, gradient):
        assert (norms.get(norm).distance(step) <= norms.get(norm).distance(other) + 1e-5).all()


def _feasible(rng, x, gap, gradient, n=200):
    """Random changes inside the box, scaled down onto the hyperplane where they reach it, else infinitely long."""
    for _ in range(n):
        change = np.where(gradient * boundary.per_image(gap) > 0, 1 - x, -x) * rng.uniform(size=x.shape)
        share = gap / (change * gradient).sum((1, 2, 3))
        yield np.where(boundary.per_image((share >= 0) & (share <= 1)), boundary.per_image(share) * change, np.inf)


def test_a_step_that_cannot_arrive_goes_as_far_as_the_box_allows():
    x = np.full((1, 2, 2, 1), 0.25, "float32")
    gradient = np.array([1.0, -1.0, 0.0, 2.0], "float32").reshape(x.shape)
    for norm in (2, np.inf):
        step = boundary.step_onto(x, np.float32([100.0]), gradient, (0.0, 1.0), norm)
        np.testing.assert_allclose(step.ravel(), [0.75, -0.25, 0.0, 0.75], atol=1e-6)


@pytest.mark.slow
def test_a_real_net_is_fooled_on_every_image_and_nearest_by_the_thorough_attacks():
    test = data.load("mnist", "test").first(32)
    x, y = np.asarray(test.pixels()), test.labels
    model = zoo.load("lenet")
    attempts = DeepFool(), CarliniWagnerL2(), FAB(max_iter=30, n_target_classes=3)
    deepfool, carlini_wagner, fab = (attack(model, x, y) for attack in attempts)
    assert all(result.success.all() for result in (deepfool, carlini_wagner, fab))
    assert fab.distance.mean() < carlini_wagner.distance.mean() < deepfool.distance.mean()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DeepFool(eps=-1.0), "eps must be finite and at least 0"),
        (lambda: DeepFool(norm=1), "norm must be one of inf, 2"),
        (lambda: DeepFool(max_iter=0), "max_iter must be an integer of at least 1.*Received: max_iter=0"),
        (lambda: DeepFool(overshoot=-0.1), "overshoot must be finite and at least 0"),
        (lambda: DeepFool(n_candidates=1), "n_candidates must be an integer of at least 2"),
        (lambda: CarliniWagnerL2(norm=np.inf), "CarliniWagnerL2 works in L2 only: norm must be 2.*norm=inf"),
        (lambda: CarliniWagnerL2(binary_search_steps=0), "binary_search_steps must be an integer of at least 1"),
        (lambda: CarliniWagnerL2(max_iter=0), "max_iter must be an integer of at least 1"),
        (lambda: CarliniWagnerL2(learning_rate=-1), "learning_rate must be finite and at least 0"),
        (lambda: CarliniWagnerL2(confidence=-1), "confidence must be finite and at least 0"),
        (lambda: CarliniWagnerL2(initial_const=0), "initial_const must be finite and above 0"),
        (lambda: FAB(max_iter=0), "max_iter must be an integer of at least 1"),
        (lambda: FAB(n_restarts=0), "n_restarts must be an integer of at least 1"),
        (lambda: FAB(n_target_classes=0), "n_target_classes must be an integer of at least 1"),
        (lambda: FAB(n_target_classes=3, targeted=True), "n_target_classes must be None for a targeted attack"),
        (lambda: FAB(alpha_max=1.5), r"alpha_max must lie in \[0, 1\]"),
        (lambda: FAB(eta=0.9), "eta must be at least 1"),
        (lambda: FAB(beta=1.0), r"beta must lie in \(0, 1\)"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
