"""Deep Defense: held to the attack, to a linear victim in closed form, and to finite differences."""

import dataclasses
import functools

import helpers
import keras
import numpy as np
import pytest
from keras import ops

from tfrobust import architectures, attacks, data, training, zoo
from tfrobust.attacks import FGSM, Victim, boundary, deepfool as attack_module
from tfrobust.layers.handover import hand_over
from tfrobust.training import AdversarialTraining, DeepDefense, Standard
from tfrobust.training.defenses import Examples, clean_examples
from tfrobust.training.perturbation import deepfool, value_and_gradients
from tfrobust.zoo import Recipe
from tfrobust.zoo.recipe import train


@functools.cache
def trained_weights():
    """Weights of the multilayer perceptron after a short training on digits."""
    keras.utils.set_random_seed(0)
    model = architectures.build("mlp")
    training.fit(model, data.load("digits", "train"), epochs=4, batch_size=50, show_progress=False)
    return model.get_weights()


def trained():
    model = architectures.build("mlp")
    model.set_weights(trained_weights())
    return model


def small(convolutional=False):
    """A small network for the linear victim's images: smooth, or of what `lenet` is made of."""
    layers, rng = keras.layers, np.random.default_rng(5)  # no kink within reach of the differences below
    conv = [layers.Conv2D(4, 3, name="conv"), layers.MaxPooling2D(2), layers.ReLU()]
    dense = [layers.Flatten(), layers.Dense(8, "tanh"), layers.Dense(4, name="logits")]
    model = keras.Sequential([keras.Input(helpers.LINEAR_SHAPE), *(conv if convolutional else []), *dense])
    # From numpy, the same on every backend: Glorot's kernels, biases of nothing.
    for weight in model.trainable_variables:
        fans = np.prod(weight.shape[:-2], dtype=int) * sum(weight.shape[-2:])
        weight.assign(rng.uniform(-1, 1, weight.shape) * (6 / fans) ** 0.5 * (len(weight.shape) > 1))
    return model


def ratio(x, y):
    """A linear victim's `||D|| / ||x||` in closed form: the overstepped margin over the norms of `v` and x."""
    kernel = np.asarray(helpers.linear_model().layers[-1].kernel)
    v = kernel[:, y].T - kernel[:, 1 - y].T  # [batch, pixels], what holds the label against the other class
    flat = x.reshape(len(x), -1)
    sizes = np.linalg.norm(v, axis=1) * np.linalg.norm(flat, axis=1)
    return 1.02 * np.abs((v * flat).sum(1)) / sizes, v, flat


def gradients(model, defense, examples):
    """Gradient of the whole objective in each weight."""
    return by_weights(model, lambda: defense.objective(model, examples)[0])


def by_weights(model, function):
    """Gradient of `function()` in each weight."""
    return value_and_gradients(model, function, model.trainable_variables)[1]


def paper_s_deepfool(monkeypatch, targeted):
    """The attack with whole steps, no box and no search on the line."""
    monkeypatch.setattr(attack_module, "DAMPING", 1.0)
    monkeypatch.setattr(attack_module, "LEAST", 0.0)
    monkeypatch.setattr(boundary, "search_line", lambda victim, x, x_adv, *rest: x_adv)
    return attacks.DeepFool(max_iter=5, clip_min=-100.0, clip_max=100.0, targeted=targeted)


@pytest.mark.parametrize("targeted", [False, True], ids=["from_a_label_that_is_right", "to_the_label_where_wrong"])
def test_the_perturbation_is_the_attack_s_with_whole_steps_and_no_box(targeted, monkeypatch):
    model, x, y = trained(), *batch(60)
    y = (y + 1) % 10 if targeted else np.asarray(model(x)).argmax(-1)
    attack = paper_s_deepfool(monkeypatch, targeted)
    expected = attack.propose(Victim(model, x[:4]), x, y, np.random.default_rng(0)) - x
    delta, right = deepfool(model, ops.array(x), ops.array(y), max_iter=5)
    assert (np.asarray(right) != targeted).all()
    assert np.abs(expected).max((1, 2, 3)).min() > 0
    np.testing.assert_allclose(delta, expected, atol=1e-3 * np.abs(expected).max())


def batch(n):
    digits = data.load("digits", "test", n)
    return digits.pixels(), digits.labels


def test_wrong_images_are_led_to_their_label_and_right_ones_away_from_it():
    model, (x, y) = trained(), batch(40)
    y = np.where(np.arange(40) < 20, y, (y + 3) % 10)
    before = np.asarray(model(x)).argmax(-1) == y
    delta, right = deepfool(model, ops.array(x), ops.array(y), max_iter=20)
    assert 10 < before.sum() < 30 and np.array_equal(right, before)
    assert np.array_equal(np.asarray(model(x + delta)).argmax(-1) == y, ~before)


def test_more_steps_change_nothing_once_the_decision_has_changed():
    model, (x, y) = trained(), batch(40)
    few, many = (np.asarray(deepfool(model, ops.array(x), ops.array(y), max_iter=n)[0]) for n in (3, 9))
    changed = (np.asarray(model(x + few)).argmax(-1) == y) != (np.asarray(model(x)).argmax(-1) == y)
    assert changed.mean() > 0.5
    np.testing.assert_allclose(few[changed], many[changed], atol=1e-6)


@pytest.mark.tensorflow  # on JAX no image leaves the batch
def test_a_compiled_step_ends_early_when_no_image_is_left():
    import tensorflow as tf

    model, (x, _) = small(convolutional=True), helpers.linear_images(8)
    y = np.asarray(model(x)).argmax(-1)
    delta, _ = deepfool(model, ops.array(x), ops.array(y), max_iter=4)
    assert (np.asarray(model(x + delta)).argmax(-1) != y).all()
    expected = gradients(model, DeepDefense(max_iter=4), clean_examples(x, y))
    compiled = tf.function(lambda: gradients(model, DeepDefense(max_iter=5), clean_examples(x, y)), autograph=False)
    for found, each in zip(compiled(), expected, strict=True):
        np.testing.assert_allclose(found, each, rtol=1e-3, atol=1e-5)


def test_right_images_count_by_a_falling_exponent_and_wrong_ones_by_a_rising_one():
    x, y = helpers.linear_images()
    model, defense, (r, _, _) = helpers.linear_model(), DeepDefense(right_scale=20.0, wrong_scale=4.0), ratio(x, y)
    assert float(defense.penalty(model, clean_examples(x, y))) == pytest.approx(np.exp(-20 * r).mean(), rel=1e-4)
    assert float(defense.penalty(model, clean_examples(x, 1 - y))) == pytest.approx(np.exp(4 * r).mean(), rel=1e-4)


def test_the_penalty_s_gradient_on_a_linear_victim_is_the_closed_form_s():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    r, v, flat = ratio(x, y)
    found = by_weights(model, lambda: DeepDefense().penalty(model, clean_examples(x, y)))[0]
    size, length = (np.linalg.norm(each, axis=1, keepdims=True) for each in (v, flat))
    slope = 1.02 / length * (flat / size - (v * flat).sum(1, keepdims=True) * v / size**3)
    per_image = (-25 * np.exp(-25 * r) / len(x))[:, None] * slope
    expected = np.stack([per_image[y == 0].sum(0) - per_image[y == 1].sum(0)] * 2, 1) * [1, -1]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max() + 1e-6)


@pytest.mark.parametrize("convolutional", [False, True], ids=["smooth", "convolution_pooling_relu"])
def test_the_penalty_s_gradient_is_that_of_finite_differences(convolutional):
    model, (x, _), rng = small(convolutional), helpers.linear_images(12), np.random.default_rng(0)
    examples = Examples(x, np.arange(12) % 4, rng.uniform(size=12).astype("float32"))
    found = by_weights(model, lambda: DeepDefense().penalty(model, examples))
    before, values = model.get_weights(), {}
    directions = [rng.normal(size=weight.shape) for weight in before]
    for sign in (-1, 1):
        model.set_weights([w + sign * 1e-4 * d for w, d in zip(before, directions, strict=True)])
        values[sign] = float(DeepDefense().penalty(model, examples))
    slope = sum(float(np.sum(g * d)) for g, d in zip(found, directions, strict=True))
    assert abs(slope) > 10 and slope == pytest.approx((values[1] - values[-1]) / 2e-4, rel=2e-3)


def test_a_network_that_no_step_moves_gives_a_finite_penalty_and_gradient():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    model.layers[-1].set_weights([np.full((36, 2), [0, 1e-5], "float32"), np.array([0, 1], "float32")])
    examples = clean_examples(x, 0 * y)  # all wrong, and 2,000 times the image's norm away from their label
    assert float(DeepDefense().penalty(model, examples)) == pytest.approx(np.exp(5), rel=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients(model, DeepDefense(), examples))


def test_the_penalty_sees_and_leaves_the_statistics_of_batch_normalisation():
    (x, y), normalise = helpers.linear_images(), keras.layers.BatchNormalization()
    linear = helpers.linear_model()
    model = keras.Sequential([keras.Input(helpers.LINEAR_SHAPE), normalise, *linear.layers])
    penalty = float(DeepDefense().penalty(model, clean_examples(x, y)))
    assert np.asarray(normalise.moving_mean) == 0 and np.asarray(normalise.moving_variance) == 1
    assert penalty == pytest.approx(float(DeepDefense().penalty(linear, clean_examples(x, y))), rel=1e-2)


def test_the_penalty_moves_the_layers_named_and_the_rest_of_the_loss_all():
    model, (x, _) = small(convolutional=True), helpers.linear_images()
    examples = clean_examples(x, np.arange(16) % 4)
    some = DeepDefense(layers=("conv", "logits"))
    plain, full, masked = (gradients(model, defense, examples) for defense in (Standard(), DeepDefense(), some))
    for weight, *three in zip(model.trainable_variables, plain, full, masked, strict=True):
        is_named = weight.path.split("/")[-2] in some.layers
        np.testing.assert_allclose(three[2], three[1 if is_named else 0], rtol=1e-4, atol=1e-5)
    values = [float(defense.objective(model, examples)[0]) for defense in (DeepDefense(), some)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_added_to_adversarial_training_it_counts_attacked_images_by_their_weight():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    inner = AdversarialTraining(FGSM(eps=0.1), clean_weight=0.25)
    defense = DeepDefense(3.0, defense=inner)
    made = defense.examples(Victim(model, x[:4]), x, y, np.random.default_rng(0), epoch=1)
    examples = Examples(*map(np.asarray, made))
    is_right = np.asarray(model(examples.images)).argmax(-1) == examples.labels
    r = ratio(examples.images, examples.labels)[0]
    expected = 3 * np.sum(examples.weights * np.exp(np.where(is_right, -25, 5) * r))
    added = float(defense.objective(model, examples)[0] - inner.objective(model, examples)[0])
    assert defense.attack is inner.attack and 16 < is_right.sum() < 32
    assert added == pytest.approx(expected, rel=1e-3)


def test_fine_tuning_with_it_moves_digits_away_from_the_boundaries():
    (x, y), digits, layers = batch(200), data.load("digits", "train"), keras.layers
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)])
    training.fit(model, digits, epochs=8, batch_size=50, show_progress=False)
    begun, settings = model.get_weights(), {"optimizer": "sgd", "learning_rate": 0.02, "schedule": "halved"}
    rho, accuracy = {}, {}
    for defense in (Standard(), DeepDefense()):
        model.set_weights(begun)
        training.fit(model, digits, defense=defense, epochs=10, batch_size=50, show_progress=False, **settings)
        distance = attacks.DeepFool(norm=2)(model, x, y).distance
        rho[type(defense)] = (distance / np.linalg.norm(x.reshape(200, -1), axis=1)).mean()
        accuracy[type(defense)] = (np.asarray(model(x)).argmax(-1) == y).mean()
    assert rho[DeepDefense] > 1.25 * rho[Standard]
    assert accuracy[DeepDefense] > accuracy[Standard] - 0.02


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"weight": -1.0}, "weight must be finite and at least 0"),
        ({"right_scale": -1.0}, "right_scale must be finite and at least 0"),
        ({"wrong_scale": float("nan")}, "wrong_scale must be finite and at least 0"),
        ({"overshoot": -0.1}, "overshoot must be finite and at least 0"),
        ({"max_iter": 0}, "max_iter must be an integer of at least 1"),
        ({"n_candidates": 1}, "n_candidates must be an integer of at least 2"),
        ({"layers": ("logit",)}, "layer must be one of .*did you mean logits"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    x, _ = helpers.linear_images(2)
    with pytest.raises(ValueError, match=message):
        DeepDefense(**kwargs).objective(small(), clean_examples(x, np.zeros(2, "int64")))


START = Recipe(
    name="lenet_dqa2.try",
    data="digits",
    defense=Standard(),
    epochs=1,
    batch_size=1300,
    optimizer="sgd",
    learning_rate=1e-9,
    start="lenet_dqa2.digits_pgd",
)


def test_a_recipe_may_begin_with_the_weights_of_an_entry(tmp_path):
    model, _, _ = train(START, runs=tmp_path, show_progress=False)
    for found, begun in zip(model.get_weights(), zoo.load(START.start).get_weights(), strict=True):
        np.testing.assert_allclose(found, begun, atol=1e-5)
    assert "start='lenet_dqa2.digits_pgd'" in START.text()
    assert "start" not in dataclasses.replace(START, start=None).text()


def test_a_recipe_may_begin_with_the_weights_of_the_network_with_relu(tmp_path):
    recipe = dataclasses.replace(START, start="lenet.mnist_pgd")
    model, _, _ = train(recipe, runs=tmp_path, show_progress=False)
    expected = zoo.load("lenet_dqa2.digits_pgd", weights=None)
    hand_over(zoo.load(recipe.start), expected)
    for found, begun in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(found, begun, rtol=1e-3, atol=1e-5)  # float16 in the file


def test_a_start_of_another_network_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="start must be the network lenet_dqa2, or that with ReLU. Received: start='mlp"
    ):
        train(dataclasses.replace(START, start="mlp.mnist_clean"), runs=tmp_path)
