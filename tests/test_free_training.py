"""Free adversarial training: one gradient moves weights and perturbation, which outlives batches and kills."""

import helpers
import keras
import numpy as np
import pytest

from tfrobust import architectures, attacks, data, training
from tfrobust.training import FreeAdversarialTraining, Standard, WeightDecay
from tfrobust.training.step import compile_step

EPS, RATE = 0.1, 0.5
FGSM = attacks.FGSM(eps=EPS)


def begun(defense, model, shape):
    """The defense begun on batches of `shape`, and its compiled step under plain gradient descent."""
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    running = defense.begin(optimizer, shape)
    return running, compile_step(model, optimizer, running)


def linear_gradients(kernel, x, y):
    """Gradients of the mean cross-entropy of `softmax(x kernel)` by kernel and images, in numpy."""
    flat = x.reshape(len(x), -1)
    odds = np.exp(flat @ kernel)
    error = (odds / odds.sum(1, keepdims=True) - np.eye(kernel.shape[1])[y]) / len(x)
    return flat.T @ error, (error @ kernel.T).reshape(x.shape)


def test_one_gradient_at_the_same_weights_moves_the_weights_down_and_the_perturbation_up():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    model.layers[-1].bias.trainable = False
    running, step = begun(FreeAdversarialTraining(FGSM, replays=1), model, x.shape)
    kernel, delta = np.asarray(model.layers[-1].kernel), np.zeros_like(x)
    for _ in range(3):
        examples = running.examples(None, x, y, None, 0)
        np.testing.assert_allclose(examples.images, np.clip(x + delta, 0, 1), atol=1e-6)
        step(*examples)
        of_kernel, of_images = linear_gradients(kernel, x + delta, y)
        kernel, delta = kernel - RATE * of_kernel, np.clip(delta + EPS * np.sign(of_images), -EPS, EPS)
        np.testing.assert_allclose(np.asarray(running.perturbation), delta, atol=1e-6)
        np.testing.assert_allclose(np.asarray(model.layers[-1].kernel), kernel, atol=1e-5)


def test_the_first_step_in_l2_is_of_the_budget_s_length_along_the_gradient():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    _, expected = linear_gradients(np.asarray(model.layers[-1].kernel), x, y)
    running, step = begun(FreeAdversarialTraining(attacks.FGSM(eps=EPS, norm=2)), model, x.shape)
    step(*running.examples(None, x, y, None, 0))
    expected *= EPS / np.sqrt((expected**2).sum(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(np.asarray(running.perturbation), expected, atol=1e-5)


def test_images_carry_the_share_of_the_perturbation_that_the_ramp_allows():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    defense = FreeAdversarialTraining(FGSM, warmup_epochs=1, ramp_epochs=2)
    running, step = begun(defense, model, x.shape)
    step(*running.examples(None, x, y, None, 0))
    most = [np.abs(running.examples(None, x, y, None, epoch).images - x).max() for epoch in (0.5, 2, 3)]
    np.testing.assert_allclose(most, [0, EPS / 2, EPS], atol=1e-6)


def small(name="mlp", epochs=2, n=200, **kwargs):
    keras.utils.set_random_seed(0)
    model = architectures.build(name)
    digits = data.load("digits", "train", n)
    history = training.fit(model, digits, epochs=epochs, batch_size=50, show_progress=False, **kwargs)
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in model.variables], history


@pytest.mark.tensorflow  # elsewhere batches have no values yet when the defense gets them
def test_each_batch_is_seen_so_many_times_in_a_row_and_each_image_in_each_epoch(monkeypatch):
    seen, original = [], FreeAdversarialTraining.examples

    def examples(self, victim, x, y, rng, epoch):
        seen.append((x, epoch))
        return original(self, victim, x, y, rng, epoch)

    monkeypatch.setattr(FreeAdversarialTraining, "examples", examples)
    small(defense=FreeAdversarialTraining(FGSM, replays=3), crop=1)
    images, epochs = zip(*seen, strict=True)
    assert len(seen) == 2 * 4 * 3
    assert all(np.array_equal(images[i], images[i - i % 3]) for i in range(24))
    assert not np.array_equal(images[0], images[3])
    np.testing.assert_allclose(epochs, np.arange(24) / 12)


@pytest.mark.parametrize("name, killed_at", [("mlp", 5), ("mlp_sqa", 13)])
def test_a_run_killed_between_replays_ends_with_the_weights_of_one_that_was_not(name, killed_at, tmp_path, monkeypatch):
    settings = {"name": name, "defense": FreeAdversarialTraining(FGSM, replays=3)}
    whole, _ = small(**settings)
    with monkeypatch.context() as patched, pytest.raises(helpers.Killed):
        helpers.watch_steps(patched, before=helpers.killer(killed_at))
        small(**settings, folder=tmp_path, save_seconds=0)
    resumed, _ = small(**settings, folder=tmp_path, save_seconds=0)
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_a_defense_remembers_nothing_from_run_to_run():
    defense = FreeAdversarialTraining(FGSM, replays=2)
    first, second = small(defense=defense)[0], small(defense=defense)[0]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_is_added_to_it_keeps_its_perturbation_and_its_replays():
    defense = FreeAdversarialTraining(FGSM, replays=2)
    plain, nothing_added, decayed = (
        small(defense=each)[0]
        for each in (defense, WeightDecay(0.0, defense=defense), WeightDecay(0.1, defense=defense))
    )
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(plain, nothing_added, strict=True))
    assert any(not np.allclose(a, b, atol=1e-3) for a, b in zip(plain, decayed, strict=True))


def accuracies(defense, epochs):
    """Clean, under FGSM and under PGD, of a network trained on the digits."""
    keras.utils.set_random_seed(0)
    model, test = architectures.build("mlp"), data.load("digits", "test")
    training.fit(model, "digits", defense=defense, epochs=epochs, batch_size=32, show_progress=False)
    suite = attacks.FGSM(eps=0), FGSM, attacks.PGD(eps=EPS, eps_iter=0.01, nb_iter=20)
    return [(~attack(model, test.pixels(), test.labels).success).mean() for attack in suite]


def test_it_learns_the_digits_and_resists_what_breaks_standard_training_of_as_many_steps():
    plain, free = accuracies(Standard(), 8), accuracies(FreeAdversarialTraining(FGSM, replays=4), 2)
    assert min(plain[0], free[0]) > 0.9
    assert all(b > a + 0.25 for a, b in zip(plain[1:], free[1:], strict=True))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FreeAdversarialTraining(FGSM, replays=0), "replays must be an integer of at least 1"),
        (lambda: FreeAdversarialTraining(attacks.DeepFool()), "must have a fixed budget, e.g. FGSM.*attack='DeepFool'"),
        (lambda: FreeAdversarialTraining(FGSM, ramp_epochs=-1), "ramp_epochs must be at least 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
