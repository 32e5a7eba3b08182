"""Black-box attacks: they see logits or decisions only, and are held to a linear victim whose optimum is known."""

import dataclasses

import helpers
import keras
import numpy as np
import pytest

from tfrobust import attacks
from tfrobust.attacks.non_examples import non_examples
from tfrobust.attacks.spsa import SPSA
from tfrobust.attacks.square import Square
from tfrobust.attacks.square_l2 import bump
from tfrobust.attacks.substitute import train_substitute
from tfrobust.attacks.zoo import ZOO
from tfrobust.types import Outcome

pytestmark = pytest.mark.tensorflow

EPS = 0.1
MODEL = helpers.linear_model()
WEIGHTS = helpers.linear_weights(MODEL)
LENGTH = np.sqrt(np.square(WEIGHTS).sum())


def out_of_reach(images, weights=WEIGHTS):
    """Logits of a plain callable whose second class never wins, so that a search climbs `w x` to its end."""
    climbed = (np.asarray(images) * weights).sum((1, 2, 3))
    return np.stack([np.full_like(climbed, 100), climbed], axis=1)


def share_of_the_optimum(attack, x, norm, weights=WEIGHTS):
    """How much of the greatest possible gain in `w x` the attack finds, per image."""
    result = attack(lambda images: out_of_reach(images, weights), x, np.zeros(len(x), "int64"))
    gained = ((result.x_adv - x) * weights).sum((1, 2, 3))
    return gained / (EPS * (np.abs(weights).sum() if norm == np.inf else np.sqrt(np.square(weights).sum())))


def plain(images):
    """The linear victim as a numpy callable, which no attack can differentiate."""
    return np.asarray(images).reshape(len(images), -1) @ MODEL.layers[-1].get_weights()[0]


def least_distance(x):
    """Length of the shortest way across the boundary of the linear victim."""
    logits = plain(x)
    return np.abs(logits[:, 1] - logits[:, 0]) / LENGTH


BLACK_BOX = {
    "spsa": lambda **more: SPSA(eps=0.3, nb_iter=10, n_samples=16, learning_rate=0.05, **more),
    "spsa_l2": lambda **more: SPSA(eps=1.0, norm=2, nb_iter=10, n_samples=16, learning_rate=0.1, **more),
    "zoo": lambda **more: ZOO(max_iter=60, n_coordinates=12, search_steps=2, **more),
    "square_l2": lambda **more: Square(eps=1.5, norm=2, n_queries=600, **more),
}
EACH = pytest.mark.parametrize("make", BLACK_BOX.values(), ids=BLACK_BOX)


@EACH
def test_a_plain_numpy_victim_is_beaten_inside_ball_and_bounds(make):
    x, y = helpers.linear_images(low=0.0, high=1.0)
    attack = make()
    result = attack(plain, x, y)
    assert result.success.mean() > 0.9
    assert result.distance.max() <= attack.threat.eps + 1e-6
    assert result.x_adv.min() >= 0 and result.x_adv.max() <= 1


@EACH
def test_a_label_asked_for_is_reached(make):
    x, _ = helpers.linear_images()
    model = helpers.linear_model(classes=3)
    wanted = np.asarray(model(x)).argsort(-1)[:, 1]
    result = make(targeted=True)(model, x, wanted)
    assert result.success.mean() > 0.8
    assert (np.asarray(model(result.x_adv)).argmax(-1) == wanted)[result.success].all()


@EACH
def test_the_same_seed_gives_the_same_images_and_another_one_others(make):
    x, y = helpers.linear_images()
    first, second, other = (make(seed=seed)(plain, x, y).x_adv for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("name", ["spsa", "spsa_l2", "zoo"])
def test_queries_are_those_that_the_victim_answered_and_at_most_the_cost(name):
    x, y = helpers.linear_images(n=1)
    attack = BLACK_BOX[name]()
    asked = []

    def counting(images):
        asked.append(len(images))
        return plain(images)

    result = attack(counting, x, y)
    around = 4  # two passes of the check for randomness, and a decision before and after the attack
    assert result.queries[0] == sum(asked) - around <= attack.cost()


@EACH
def test_a_random_model_is_beaten_with_queries_that_average_passes(make):
    x, y = helpers.linear_images(n=4)
    noise = np.random.default_rng(0)
    attack = make(eot=2)
    if isinstance(attack, ZOO):
        attack = dataclasses.replace(attack, confidence=1.0, delta=0.1)
    result = attack(lambda images: plain(images) + noise.normal(0, 0.05, (len(images), 2)), x, y)
    assert result.success.all()
    assert (result.queries % 2 == 0).all()


def test_spsa_uses_its_whole_budget_against_a_random_model():
    x, y = helpers.linear_images(n=4)
    noise = np.random.default_rng(0)
    attack = SPSA(eps=0.3, nb_iter=5, n_samples=16)
    result = attack(lambda images: plain(images) + noise.normal(0, 0.05, (len(images), 2)), x, y)
    assert (result.queries == 5 * 2 * 16).all()


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_spsa_reaches_nearly_all_of_the_optimum(norm):
    x, _ = helpers.linear_images()
    attack = SPSA(eps=EPS, norm=norm, nb_iter=20, learning_rate=0.02)
    assert share_of_the_optimum(attack, x, norm).min() > 0.95


def test_spsa_leaves_images_alone_once_they_are_adversarial():
    x, y = helpers.linear_images()
    result = SPSA(eps=0.3, nb_iter=30, n_samples=32)(plain, x, y)
    assert result.success.all() and len(np.unique(result.queries)) > 1
    assert result.queries.max() < SPSA(eps=0.3, nb_iter=30, n_samples=32).cost()


@pytest.mark.parametrize("n_coordinates", [12, 128])
def test_zoo_comes_within_a_twentieth_of_the_least_distance(n_coordinates):
    x, y = helpers.linear_images()
    result = ZOO(n_coordinates=n_coordinates)(plain, x, y)
    assert result.success.all()
    ratio = result.distance / least_distance(x)
    assert 1 - 1e-4 <= ratio.min() and ratio.max() < 1.05


def test_zoo_with_confidence_goes_as_far_beyond_the_boundary():
    x, y = helpers.linear_images()
    result = ZOO(confidence=1.0)(plain, x, y)
    beyond = result.distance - least_distance(x)
    np.testing.assert_allclose(beyond, 1.0 / LENGTH, rtol=0.1)


def test_zoo_keeps_the_clean_image_where_it_finds_nothing():
    x, _ = helpers.linear_images(n=2)
    result = ZOO(max_iter=20, search_steps=1)(out_of_reach, x, np.zeros(2, "int64"))
    np.testing.assert_array_equal(result.x_adv, x)
    assert set(result.outcome) == {Outcome.FAILED}


def test_square_in_l2_uses_its_whole_budget_and_much_of_the_optimum():
    x, _ = helpers.linear_images()
    attack = Square(eps=EPS, norm=2, n_queries=1000)
    # Windows of three by three with a bump each cannot form every direction: the rest is out of the method's reach.
    assert share_of_the_optimum(attack, x, 2).min() > 0.7
    np.testing.assert_allclose(attack(out_of_reach, x, np.zeros(len(x), "int64")).distance, EPS, rtol=1e-5)


def test_square_in_l2_gathers_its_budget_in_the_window_that_matters():
    x, _ = helpers.linear_images()
    weights = np.zeros(helpers.LINEAR_SHAPE)
    weights[1:4, 2:5, 0] = bump(3)
    shares = share_of_the_optimum(Square(eps=EPS, norm=2, n_queries=1000), x, 2, weights)
    assert shares.min() > 0.9 and shares.mean() > 0.97


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6])
def test_a_bump_has_length_1_and_two_halves_of_opposite_sign(side):
    assert np.isclose(np.square(bump(side)).sum(), 1)
    half = side - side // 2
    assert (bump(side)[:, :half] > 0).all() and (bump(side)[:, half:] < 0).all()


def test_square_draws_again_what_changes_nothing_and_asks_nothing_about_the_rest():
    x, _ = helpers.linear_images()
    asked = []

    def counting(images):
        asked.append(len(images))
        return out_of_reach(images)

    result = Square(eps=EPS, n_queries=200)(counting, x, np.zeros(len(x), "int64"))
    of_the_template = 2 * 4 + 2 * len(x)  # two looks at a sample, two judgements
    assert sum(asked) == result.queries.sum() + of_the_template
    assert result.queries.min() > 180 and result.queries.max() <= 200


def small_net():
    return keras.Sequential([keras.Input(helpers.LINEAR_SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.fixture(scope="module")
def learned():
    keras.utils.set_random_seed(0)
    x, _ = helpers.linear_images(n=20, low=0.0, high=1.0)
    return train_substitute(plain, x, small_net(), epochs=20, rounds=3, learning_rate=0.02, lambda_=0.2)


def test_a_substitute_learns_to_decide_as_the_victim_does(learned):
    x = np.random.default_rng(9).random((300, *helpers.LINEAR_SHAPE), "float32")
    agree = np.asarray(learned.model(x)).argmax(-1) == plain(x).argmax(-1)
    assert agree.mean() > 0.85
    assert learned.queries == 20 * 2**3


def test_attacks_on_a_substitute_transfer_to_the_victim(learned):
    x, y = helpers.linear_images()
    result = attacks.Transfer(attacks.FGSM(eps=0.2), learned.model)(plain, x, y)
    assert result.success.mean() > 0.9 and (result.queries == 0).all()


def test_the_same_seed_trains_the_same_substitute():
    x, _ = helpers.linear_images(n=8)
    trained = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        trained.append(train_substitute(plain, x, small_net(), epochs=2, rounds=1).model.get_weights()[0])
    np.testing.assert_array_equal(*trained)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"rounds": -1}, "rounds must be an integer of at least 0"),
        ({"lambda_": -0.1}, "lambda_ must be finite and at least 0"),
        ({"substitute": helpers.linear_model(classes=3)}, "substitute must have the victim's 2 classes.*classes=3"),
    ],
)
def test_bad_settings_of_a_substitute_are_refused(arguments, message):
    x, _ = helpers.linear_images(n=2)
    with pytest.raises(ValueError, match=message):
        train_substitute(plain, x, **{"substitute": small_net(), **arguments})


def test_non_examples_climb_to_the_class_that_they_aim_at():
    model = helpers.linear_model(classes=3)
    unmoved, found = (non_examples(model, (0, 2), helpers.LINEAR_SHAPE, n=4, steps=steps) for steps in (0, 100))
    assert found.targets.tolist() == [0] * 4 + [2] * 4
    assert found.reached.all() and (found.confidence > 0.9).all()
    assert (found.confidence > unmoved.confidence).all()
    assert found.images.shape == (8, *helpers.LINEAR_SHAPE) and found.images.min() >= 0 and found.images.max() <= 1


def test_non_examples_take_sign_steps_inside_the_box():
    start, found = (non_examples(MODEL, 1, helpers.LINEAR_SHAPE, n=2, steps=steps).images for steps in (0, 7))
    np.testing.assert_allclose(found, np.clip(start + 0.07 * np.sign(WEIGHTS), 0, 1), atol=1e-6)


def test_non_examples_start_from_clipped_noise_and_report_the_softmax():
    found = non_examples(MODEL, 1, helpers.LINEAR_SHAPE, n=3, steps=0, noise=0.1)
    start = np.random.default_rng(0).normal(0, 0.1, found.images.shape)
    np.testing.assert_allclose(found.images, np.clip(start, 0, 1), atol=1e-6)
    logits = plain(found.images)
    np.testing.assert_allclose(found.confidence, 1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), rtol=1e-5)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SPSA(eps=0.1, nb_iter=0), "nb_iter must be an integer of at least 1"),
        (lambda: SPSA(eps=0.1, n_samples=0), "n_samples must be an integer of at least 1"),
        (lambda: SPSA(eps=0.1, learning_rate=-1), "learning_rate must be finite and at least 0"),
        (lambda: SPSA(eps=0.1, delta=0.0), "delta must be above 0"),
        (lambda: ZOO(norm=np.inf), "ZOO works in L2 only: norm must be 2"),
        (lambda: ZOO(max_iter=0), "max_iter must be an integer of at least 1"),
        (lambda: ZOO(n_coordinates=0), "n_coordinates must be an integer of at least 1"),
        (lambda: ZOO(search_steps=0), "search_steps must be an integer of at least 1"),
        (lambda: ZOO(initial_c=0.0), "initial_c must be above 0"),
        (lambda: ZOO(learning_rate=0.0), "learning_rate must be above 0"),
        (lambda: ZOO(delta=0.0), "delta must be above 0"),
        (lambda: ZOO(confidence=-1.0), "confidence must be finite and at least 0"),
        (lambda: non_examples(MODEL, 2, helpers.LINEAR_SHAPE), r"labels must lie in \[0, 2\)"),
        (lambda: non_examples(MODEL, 1, helpers.LINEAR_SHAPE, n=0), "n must be an integer of at least 1"),
        (lambda: non_examples(MODEL, 1, helpers.LINEAR_SHAPE, steps=-1), "steps must be an integer of at least 0"),
        (lambda: non_examples(MODEL, 1, helpers.LINEAR_SHAPE, eps_iter=-1), "eps_iter must be finite"),
        (lambda: non_examples(MODEL, 1, helpers.LINEAR_SHAPE, noise=-1), "noise must be finite"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
