"""Attacks: held to a linear victim whose worst case is known, to CleverHans, and to the threat model always."""

import cases
import helpers
import keras
import numpy as np
import pytest
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent
from keras import ops

from tfrobust import attacks
from tfrobust.types import Bounds, Outcome, ThreatModel

EPS = 0.1
ROWS = [pytest.param(case, norm, id=f"{case.name}-{norm}") for case in cases.ATTACKS for norm in case.norms]
EXACT = [
    pytest.param(case, norm, id=f"{case.name}-{norm}") for case in cases.ATTACKS for norm in case.norms if case.is_exact
]


def worst_images(model, x, y, eps, norm):
    """The exact optimum against a linear victim, for images so far inside that clipping plays no part."""
    away = np.where(y == 1, -1.0, 1.0)[:, None, None, None] * helpers.linear_weights(model)
    if norm == np.inf:
        return x + eps * np.sign(away)
    return x + eps * away / np.sqrt(np.square(away).sum(axis=(1, 2, 3), keepdims=True))


@pytest.mark.parametrize("case, norm", ROWS)
def test_every_attack_stays_inside_the_ball_and_the_bounds(case, norm):
    x, y = helpers.linear_images(low=0.0, high=1.0)
    result = case.make(eps=EPS, norm=norm)(helpers.linear_model(), x, y)
    change = (
        np.abs(result.x_adv - x).max() if norm == np.inf else np.sqrt(np.square(result.x_adv - x).sum((1, 2, 3))).max()
    )
    assert change <= EPS + 1e-6
    assert 0 <= result.x_adv.min() and result.x_adv.max() <= 1


@pytest.mark.parametrize("case, norm", ROWS)
def test_success_is_what_a_fresh_pass_over_the_images_says(case, norm):
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    result = case.make(eps=EPS, norm=norm)(model, x, y)
    np.testing.assert_array_equal(result.success, np.asarray(model(result.x_adv)).argmax(-1) != y)
    assert all(
        (outcome is Outcome.SUCCESS) == success for outcome, success in zip(result.outcome, result.success, strict=True)
    )


@pytest.mark.parametrize("case, norm", ROWS)
def test_the_same_seed_gives_the_same_images(case, norm):
    x, y = helpers.linear_images()
    first, second = (case.make(eps=EPS, norm=norm)(helpers.linear_model(), x, y) for _ in range(2))
    np.testing.assert_array_equal(first.x_adv, second.x_adv)


@pytest.mark.parametrize("case, norm", ROWS)
def test_a_budget_of_zero_changes_nothing(case, norm):
    x, y = helpers.linear_images()
    result = case.make(eps=0.0, norm=norm)(helpers.linear_model(), x, y)
    np.testing.assert_allclose(result.x_adv, x, atol=1e-7)
    assert not result.success.any()


@pytest.mark.parametrize("case, norm", EXACT)
def test_gradient_attacks_reach_the_exact_optimum_of_a_linear_victim(case, norm):
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    result = case.make(eps=EPS, norm=norm)(model, x, y)
    best = worst_images(model, x, y, EPS, norm) - x
    gained, possible = ((change * best).sum((1, 2, 3)) for change in (result.x_adv - x, best))
    assert (gained / possible).min() > 0.999


def test_pgd_reaches_the_optimum_of_the_box_where_the_bounds_cut_the_ball():
    x, y = helpers.linear_images(low=0.0, high=1.0)
    model = helpers.linear_model()
    result = attacks.PGD(eps=EPS, eps_iter=EPS / 4, nb_iter=20)(model, x, y)
    best = np.clip(worst_images(model, x, y, EPS, np.inf), 0, 1)
    np.testing.assert_allclose(result.x_adv, best, atol=1e-6)


def test_square_reaches_nearly_all_of_the_optimum_without_a_gradient():
    x, y = helpers.linear_images()
    model = helpers.linear_model()

    # The victim's margin is made large, so that no image is given up and the search runs to its end.
    def shifted(images):
        return np.asarray(model(images)) + 100 * np.eye(2)[y[: len(images)]]

    result = attacks.Square(eps=EPS, n_queries=3000)(shifted, x, y, batch_size=len(x))
    weights = helpers.linear_weights(model)
    gained = np.abs(((result.x_adv - x) * weights).sum((1, 2, 3)))
    assert (gained / (EPS * np.abs(weights).sum())).min() > 0.95


def test_square_counts_a_query_per_pass_and_stops_when_it_has_succeeded():
    x, y = helpers.linear_images()
    result = attacks.Square(eps=0.3, n_queries=500)(helpers.linear_model(), x, y)
    assert result.success.all()
    assert result.queries.min() >= 1 and result.queries.max() < 500


@pytest.mark.tensorflow
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_fgsm_equals_cleverhans(norm):
    x, _ = helpers.linear_images()
    model = helpers.linear_model(classes=5)
    y = np.asarray(model(x)).argmax(-1)
    ours = attacks.FGSM(eps=EPS, norm=norm)(model, x, y)
    theirs = fast_gradient_method(model, x, EPS, norm, clip_min=0.0, clip_max=1.0, y=y).numpy()
    np.testing.assert_allclose(ours.x_adv, theirs, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_pgd_without_a_random_start_equals_cleverhans(norm):
    x, _ = helpers.linear_images(low=0.0, high=1.0)
    model = helpers.linear_model(classes=5)
    y = np.asarray(model(x)).argmax(-1)
    ours = attacks.PGD(eps=EPS, norm=norm, eps_iter=0.03, nb_iter=7, rand_init=False)(model, x, y)
    settings = {"clip_min": 0.0, "clip_max": 1.0, "y": y, "rand_init": False, "sanity_checks": False}
    theirs = projected_gradient_descent(model, x, EPS, 0.03, 7, norm, **settings).numpy()
    np.testing.assert_allclose(ours.x_adv, theirs, atol=1e-6)


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_pgd_starts_at_a_random_point_of_the_ball(norm):
    x, y = helpers.linear_images()
    result = attacks.PGD(eps=EPS, norm=norm, eps_iter=0.0, nb_iter=1)(helpers.linear_model(), x, y)
    assert 0 < result.distance.min() and len(np.unique(result.distance)) == len(x)


def test_a_targeted_attack_reaches_its_label():
    x, _ = helpers.linear_images()
    model = helpers.linear_model(classes=3)
    target = np.asarray(model(x)).argsort(-1)[:, 1]
    result = attacks.PGD(eps=0.3, eps_iter=0.05, nb_iter=20, targeted=True)(model, x, target)
    assert result.success.all()
    np.testing.assert_array_equal(np.asarray(model(result.x_adv)).argmax(-1), target)


def test_true_labels_are_no_targets():
    x, y = helpers.linear_images()
    with pytest.raises(ValueError, match="labels to reach must differ from what the model decides already"):
        attacks.FGSM(eps=EPS, targeted=True)(helpers.linear_model(), x, y)


def test_without_labels_the_model_s_own_prediction_is_attacked():
    x, y = helpers.linear_images()
    attack = attacks.FGSM(eps=EPS)
    with_labels, without = attack(helpers.linear_model(), x, y), attack(helpers.linear_model(), x)
    np.testing.assert_array_equal(with_labels.x_adv, without.x_adv)


def test_an_image_that_was_wrong_already_is_left_as_it_is():
    x, y = helpers.linear_images()
    result = attacks.FGSM(eps=EPS)(helpers.linear_model(), x, 1 - y)
    assert result.success.all() and (result.distance == 0).all()
    assert set(result.outcome) == {Outcome.ALREADY_WRONG}


def test_the_offset_attack_finds_the_only_offset_that_works():
    def brighter(images):
        return np.stack([0.55 - images.mean((1, 2, 3)), images.mean((1, 2, 3)) - 0.55], axis=-1)

    x = np.full((2, *helpers.LINEAR_SHAPE), 0.5, "float32")
    result = attacks.ConstantOffset(eps=0.1)(brighter, x, np.zeros(2, "int64"))
    assert result.success.all()
    np.testing.assert_allclose(result.x_adv, 0.56, atol=1e-6)


def test_a_transfer_hands_over_the_source_s_images_and_never_differentiates_the_victim():
    x, y = helpers.linear_images()
    source = helpers.linear_model()
    attack = attacks.PGD(eps=EPS, eps_iter=0.02, nb_iter=10)
    transferred = attacks.Transfer(attack, source)(lambda images: np.asarray(source(images)), x, y)
    np.testing.assert_array_equal(transferred.x_adv, attack(source, x, y).x_adv)
    assert (transferred.queries == 0).all()


class NoisyLinear:
    """Logits `(w + noise) x`: one gradient says little, the mean of many says `w`."""

    def __init__(self, scale=5.0):
        self.weights = np.stack([np.zeros(36), np.random.default_rng(0).normal(size=36)], 1).astype("float32")
        self.random = keras.random.SeedGenerator(1)
        self.scale = scale

    def __call__(self, x):
        noise = keras.random.normal((36, 1), stddev=self.scale, seed=self.random)
        return ops.reshape(x, (-1, 36)) @ (self.weights + ops.concatenate([ops.zeros((36, 1)), noise], 1))


def test_expectation_over_transformation_recovers_the_gradient_of_a_random_model():
    x = np.full((1, *helpers.LINEAR_SHAPE), 0.5, "float32")
    agreement = {}
    for eot in (1, 1000):
        model = NoisyLinear()
        gradient = attacks.Victim(model, x, eot).gradient(lambda labels, logits: logits[:, 1], x, np.array([0]))
        agreement[eot] = (np.sign(gradient).ravel() == np.sign(model.weights[:, 1])).mean()
    assert agreement[1] < 0.8 and agreement[1000] > 0.9


def test_a_random_model_is_seen_as_random_attacked_with_eot_and_judged_by_a_majority():
    x, y = helpers.linear_images(4)
    victim = attacks.Victim(NoisyLinear(), x)
    assert (victim.is_random, victim.eot, victim.judge_passes) == (True, 20, 11)
    result = attacks.FGSM(eps=EPS)(NoisyLinear(), x, y)
    assert (result.queries == 20).all()
    assert not attacks.Victim(helpers.linear_model(), x).is_random


def test_a_majority_of_passes_decides_where_single_passes_waver():
    x = np.full((1, *helpers.LINEAR_SHAPE), 0.5, "float32")
    draws = iter([0, 0, *[1, 0, 1] * 4])  # two passes of the check for randomness come first
    victim = attacks.Victim(lambda images: np.eye(2)[[next(draws)]] * 5.0 - 1e-3, x)
    victim.judge_passes = 11
    assert victim.decide(x) == 1


class _Cheat(attacks.AbstractBudgetAttack):
    """Proposes images far outside the budget."""

    def propose(self, victim, x, y, rng):
        return np.full_like(x, 9.0)


class _Broken(attacks.AbstractBudgetAttack):
    """Proposes images that are no numbers."""

    def propose(self, victim, x, y, rng):
        return np.full_like(x, np.nan)


def test_the_template_brings_a_cheat_s_images_inside_the_budget():
    x, y = helpers.linear_images()
    result = _Cheat(eps=EPS)(helpers.linear_model(), x, y)
    np.testing.assert_allclose(result.x_adv, x + EPS, atol=1e-6)


def test_non_finite_proposals_become_the_clean_image_and_are_reported():
    x, y = helpers.linear_images()
    result = _Broken(eps=EPS)(helpers.linear_model(), x, y)
    np.testing.assert_array_equal(result.x_adv, x)
    assert set(result.outcome) == {Outcome.NON_FINITE} and not result.success.any()


def test_a_threat_model_prints_as_the_field_writes_it():
    assert str(ThreatModel(8 / 255)) == "Linf 8/255 on [0,1]"
    assert str(ThreatModel(0.3)) == "Linf 0.3 on [0,1]"
    assert str(ThreatModel(0.5, 2, Bounds(-1, 1))) == "L2 0.5 on [-1,1]"


X, Y = np.full((2, *helpers.LINEAR_SHAPE), 0.5, "float32"), np.array([0, 1])
FGSM = attacks.FGSM(eps=EPS)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (X * np.nan, Y, "images must be finite"),
        (X + 1, Y, r"images must lie in \[0, 1\].*Received: min=1.5"),
        (X[0], Y, "images must have shape"),
        (X[:0], Y[:0], "at least one image"),
        (np.zeros((2, 5, 5, 1)), Y, r"model's input shape \(6, 6, 1\).*Received: shape=\(5, 5, 1\)"),
        (X, np.array([0, 2]), r"labels must lie in \[0, 2\).*max=2"),
        (X, np.array([0, -1]), r"labels must lie in \[0, 2\).*min=-1"),
        (X, np.array([0.5, 1.0]), "labels must be integers"),
        (X, np.array([0]), r"labels must have shape \(2,\)"),
    ],
)
def test_bad_images_and_labels_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        FGSM(helpers.linear_model(), images, labels)


@pytest.mark.parametrize(
    "model, message",
    [
        (lambda x: np.full((len(x), 2), 0.5), "return logits, but these rows are probabilities"),
        (lambda x: np.zeros((len(x),)), r"logits of shape \[batch, classes\]"),
        (lambda x: np.full((len(x), 2), np.nan), "finite logits"),
    ],
)
def test_models_that_do_not_return_logits_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        FGSM(model, X, Y)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: attacks.FGSM(eps=-0.1), "eps must be finite and at least 0.*Received: eps=-0.1"),
        (lambda: attacks.FGSM(eps=float("nan")), "eps must be finite"),
        (lambda: attacks.FGSM(eps=0.1, norm=3), "norm must be one of inf, 2"),
        (lambda: attacks.FGSM(eps=0.1, clip_min=1.0, clip_max=0.0), "clip_min must be below clip_max"),
        (lambda: attacks.FGSM(eps=0.1, eot=0), "eot must be an integer of at least 1"),
        (lambda: attacks.PGD(eps=0.1, eps_iter=-1, nb_iter=1), "eps_iter must be finite and at least 0"),
        (lambda: attacks.PGD(eps=0.1, eps_iter=0.1, nb_iter=0), "nb_iter must be an integer of at least 1"),
        (lambda: attacks.Square(eps=0.1, p_init=0), r"p_init must lie in \(0, 1\]"),
        (lambda: attacks.ConstantOffset(eps=0.1, offsets=(0.2,)), "offsets must be at most eps=0.1"),
        (lambda: attacks.get("pdg", eps=0.1), "attack must be one of.*did you mean pgd"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_targeted_attack_without_labels_is_refused():
    with pytest.raises(ValueError, match="a targeted attack needs the labels to reach"):
        attacks.FGSM(eps=0.1, targeted=True)(helpers.linear_model(), X)
