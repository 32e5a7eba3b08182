"""Training: it learns, it is the same after a kill, and its settings mean what they say."""

import os
import signal
import subprocess
import sys
import time

import helpers
import keras
import numpy as np
import pytest

from tfrobust import architectures, attacks, data, training
from tfrobust.attacks import Victim
from tfrobust.training import TRADES, AdversarialTraining, Standard, batches, schedules
from tfrobust.training.checkpoint import FILE
from tfrobust.training.defenses import Examples

PGD = attacks.PGD(eps=0.2, eps_iter=0.1, nb_iter=3)
SETTINGS = {"epochs": 2, "batch_size": 50, "show_progress": False}


def small_digits(n=300):
    return data.load("digits", "train", n)


def trained(name="mlp", **kwargs):
    keras.utils.set_random_seed(0)
    model = architectures.build(name)
    history = training.fit(model, small_digits(), **{**SETTINGS, **kwargs})
    return [keras.ops.convert_to_numpy(variable) for variable in model.variables], history


def test_training_learns_real_digits():
    model = architectures.build("lenet")
    history = training.fit(model, "digits", epochs=4, show_progress=False)
    test = data.load("digits", "test")
    assert (np.asarray(model(test.pixels())).argmax(-1) == test.labels).mean() > 0.9
    assert history[-1].loss < history[0].loss
    assert history[-1].validation_clean > 0.9 and history[-1].validation_adversarial is None


def test_adversarial_training_resists_an_attack_that_breaks_standard_training():
    attack = attacks.PGD(eps=0.1, eps_iter=0.05, nb_iter=4)
    test = data.load("digits", "test")
    accuracies = {}
    for defense in (Standard(), AdversarialTraining(attack, ramp_epochs=3)):
        keras.utils.set_random_seed(0)
        model = architectures.build("mlp")
        training.fit(model, "digits", defense=defense, epochs=10, batch_size=32, show_progress=False)
        attacked = attacks.PGD(eps=0.1, eps_iter=0.01, nb_iter=20)(model, test.pixels(), test.labels)
        accuracies[type(defense)] = (~attacked.success).mean()
    assert accuracies[Standard] < 0.2
    assert accuracies[AdversarialTraining] > 0.5


def test_a_surrogate_replaces_the_quantizers_own_in_the_gradient_of_the_weights_alone():
    own, ste, soft = (trained("mlp_dqa2", surrogate=surrogate)[0] for surrogate in (None, "ste", "soft"))
    assert all(np.array_equal(a, b) for a, b in zip(own, ste, strict=True))  # `ste` is DQA's own
    assert any(not np.array_equal(a, b) for a, b in zip(own, soft, strict=True))
    model = architectures.build("mlp_dqa2")
    training.fit(model, small_digits(), surrogate="soft", **SETTINGS)
    assert [layer.quantizer.surrogate for layer in model.layers if hasattr(layer, "quantizer")] == ["ste", "ste"]


def test_ema_ends_with_the_moving_average_of_the_weights_after_each_step(monkeypatch):
    models, seen = [], []

    def keep(model, run):
        run.settle()
        models[:] = [model]
        seen.append([np.array(weight) for weight in model.trainable_variables])

    helpers.watch_steps(monkeypatch, after=keep)
    trained(ema=0.5)
    final, mean = [np.array(weight) for weight in models[0].trainable_variables], seen[0]
    for weights in seen[1:]:
        mean = [0.5 * old + 0.5 * new for old, new in zip(mean, weights, strict=True)]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(final, seen[-1], strict=True))
    for a, b in zip(final, mean, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, other = (trained(seed=seed)[0] for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name, killed_at", [("mlp", 3), ("mlp_dqa2", 6), ("mlp_sqa", 8)])
def test_a_run_killed_at_any_step_ends_with_the_weights_of_one_that_was_not(name, killed_at, tmp_path, monkeypatch):
    defense = AdversarialTraining(PGD, clean_weight=0.5, ramp_epochs=1)
    shared = {"defense": defense, "validation": data.load("digits", "validation", 20), "ema": 0.9}
    whole, history = trained(name, **shared)
    resumable = {**shared, "folder": tmp_path}
    with monkeypatch.context() as patched, pytest.raises(helpers.Killed):
        helpers.watch_steps(patched, before=helpers.killer(killed_at))
        trained(name, save_seconds=0, **resumable)
    resumed, resumed_history = trained(name, save_seconds=0, **resumable)
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))
    assert [e.loss for e in history] == pytest.approx([e.loss for e in resumed_history])


CHILD = """
import keras
from tfrobust import architectures, data, training
keras.utils.set_random_seed(0)
training.fit(architectures.build("mlp"), data.load("digits", "train", 300), epochs=400, batch_size=50,
             folder={folder!r}, save_seconds=0, show_progress=False)
"""


@pytest.mark.slow
def test_a_process_killed_in_the_middle_leaves_a_checkpoint_that_can_be_continued(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD.format(folder=str(tmp_path))])
    deadline = time.monotonic() + 120
    while not (tmp_path / FILE).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    with np.load(tmp_path / FILE) as arrays:
        assert "meta" in arrays.files
    keras.utils.set_random_seed(0)
    settings = {**SETTINGS, "epochs": 400}
    with pytest.raises(helpers.Killed):  # goes on: the first thing it does is a step, not an error
        training.fit(architectures.build("mlp"), small_digits(), folder=tmp_path, on_epoch=_stop, **settings)


def _stop(epoch):
    raise helpers.Killed


def test_a_finished_run_is_loaded_without_training_again(tmp_path):
    weights, history = trained(folder=tmp_path)
    again, history_again = trained(folder=tmp_path)
    assert history == history_again
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    trained(folder=tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint in this folder is of another run.*\(defense differ\)"):
        trained(folder=tmp_path, defense=AdversarialTraining(PGD))


def test_the_budget_ramps_from_nothing_to_all_after_the_warmup():
    defense = AdversarialTraining(PGD, warmup_epochs=1, ramp_epochs=2)
    assert [defense.strength(epoch) for epoch in (0, 0.5, 1, 2, 3, 9)] == [0, 0, 0, 0.5, 1, 1]


def test_examples_are_clean_in_the_warmup_then_mixed_by_weight():
    model, digits = architectures.build("mlp"), small_digits(20)
    x, y = digits.pixels(), digits.labels
    defense = AdversarialTraining(PGD, clean_weight=0.25, warmup_epochs=1)
    victim, rng = Victim(model, x[:4]), np.random.default_rng(0)
    warm = defense.examples(victim, x, y, rng, epoch=0.5)
    np.testing.assert_array_equal(warm.images, x)
    mixed = Examples(*map(np.asarray, defense.examples(victim, x, y, rng, epoch=1.0)))
    np.testing.assert_array_equal(mixed.images[:20], x)
    change = np.abs(mixed.images[20:] - x).max(axis=(1, 2, 3))
    assert 0.1 < change.min() and change.max() <= 0.2 + 1e-6
    np.testing.assert_allclose([mixed.weights[:20].sum(), mixed.weights[20:].sum()], [0.25, 0.75], rtol=1e-6)


def divergence(model, x, x_adv):
    """KL from the model's output on `x` to that on `x_adv`, in numpy."""
    p, q = (np.asarray(keras.ops.softmax(model(images))) for images in (x, x_adv))
    return (p * np.log(p / q)).sum(-1)


def test_trades_climbs_the_divergence_from_the_clean_output_within_the_budget():
    model, digits = architectures.build("mlp"), small_digits(20)
    x, y, rng = digits.pixels(), digits.labels, np.random.default_rng(0)
    images, _, weights = map(np.asarray, TRADES(PGD).examples(Victim(model, x[:4]), x, y, rng, epoch=0))
    noise = np.clip(x + rng.uniform(-0.2, 0.2, x.shape), 0, 1).astype("float32")
    np.testing.assert_array_equal(images[:20], x)
    assert np.abs(images[20:] - x).max() <= 0.2 + 1e-6
    assert divergence(model, x, images[20:]).mean() > 5 * divergence(model, x, noise).mean()
    np.testing.assert_allclose([weights[:20].sum(), weights[20:].sum()], [1, 0], rtol=1e-6)


def test_trades_minimises_clean_cross_entropy_plus_beta_times_the_divergence():
    model, x = architectures.build("mlp"), small_digits(20).pixels()
    x_adv, y, weights = x[::-1].copy(), small_digits(20).labels, np.repeat(np.float32([1 / 20, 0]), 20)
    examples = Examples(np.concatenate([x, x_adv]), np.concatenate([y, y]), weights)
    clean = -np.log(np.asarray(keras.ops.softmax(model(x)))[np.arange(20), y]).mean()
    loss, logits = TRADES(PGD, beta=3.0).objective(model, examples)
    assert float(loss) == pytest.approx(clean + 3 * divergence(model, x, x_adv).mean(), rel=1e-4)
    assert logits.shape == (40, 10)


def test_trades_sees_the_clean_images_twice_in_the_warmup_and_trains_through_an_adapted_attack():
    defense = TRADES(attacks.BPDA(PGD, "soft"), warmup_epochs=1, ramp_epochs=1)
    x, y = small_digits(20).pixels(), small_digits(20).labels
    images = defense.examples(None, x, y, None, epoch=0.5).images
    np.testing.assert_array_equal(images, np.concatenate([x, x]))
    _, history = trained("mlp_dqa2", defense=defense)
    assert history[-1].accuracy > 0.5 > history[0].accuracy


def test_adversarial_images_join_the_clean_ones_once_and_are_kept_in_a_file(tmp_path):
    model, digits, attack = architectures.build("mlp"), small_digits(30), attacks.DeepFool()
    both = training.with_adversarial(model, digits, attack, file=tmp_path / "set.npz", show_progress=False)
    np.testing.assert_array_equal(both.pixels(slice(30)), digits.pixels())
    made = attack(model, digits.pixels(), digits.labels).x_adv
    np.testing.assert_array_equal(both.pixels(slice(30, None)), made)
    np.testing.assert_array_equal(both.labels, np.tile(digits.labels, 2))
    again = training.with_adversarial(None, digits, attack, file=tmp_path / "set.npz")
    np.testing.assert_array_equal(again.pixels(), both.pixels())


def test_a_crop_moves_each_image_by_its_own_draw_and_fills_with_black():
    x = np.random.default_rng(0).uniform(0.1, 1, (200, 6, 5, 1)).astype("float32")
    moved, places = batches.shifted(x, 2, np.random.default_rng(1)), set()
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for image, source in zip(moved, padded, strict=True):
        cuts = {(i, j) for i in range(5) for j in range(5) if np.array_equal(image, source[i : i + 6, j : j + 5])}
        assert len(cuts) == 1
        places |= cuts
    assert len(places) == 25


def test_mirroring_turns_half_of_the_images_left_to_right_and_leaves_the_rest():
    x = np.random.default_rng(0).uniform(size=(1000, 2, 3, 1)).astype("float32")
    seen = batches.mirrored(x, np.random.default_rng(1))
    turned = np.array([np.array_equal(image, source[:, ::-1]) for image, source in zip(seen, x, strict=True)])
    np.testing.assert_array_equal(seen[~turned], x[~turned])
    assert 450 < turned.sum() < 550


def test_crops_change_what_is_learnt_and_a_whole_run_of_them_learns():
    (plain, _), (moved, history) = trained(), trained(crop=1)
    assert any(not np.array_equal(a, b) for a, b in zip(plain, moved, strict=True))
    assert history[-1].accuracy > history[0].accuracy


def test_every_image_is_seen_once_an_epoch():
    seen = [batches._order(0, epoch, 100) for epoch in (0, 1)]
    assert sorted(seen[0]) == list(range(100)) and not np.array_equal(*seen)


@pytest.mark.parametrize(
    "name, points",
    [
        ("constant", {0: 1.0, 50: 1.0, 100: 1.0}),
        ("cosine", {0: 1.0, 50: 0.5, 100: 0.0}),
        ("one_cycle", {0: 0.01, 15: 1.0, 100: 0.0}),
        ("step", {0: 1.0, 31: 0.1, 61: 0.01, 91: 0.001}),
        ("two_steps", {0: 1.0, 42: 1.0, 44: 0.1, 85: 0.1, 87: 0.01, 100: 0.01}),
        ("halved", {0: 1.0, 79: 1.0, 81: 0.5, 100: 0.5}),
    ],
)
def test_schedules_pass_through_their_points(name, points):
    schedule = schedules.get(name, 1.0, 100)
    for step, rate in points.items():
        assert float(schedule(step)) == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"batch_size": 301}, "batch_size must be at most 300"),
        ({"optimizer": "adm"}, "optimizer must be one of adam, sgd .did you mean adam"),
        ({"schedule": "cosin"}, "schedule must be one of .*did you mean cosine"),
        ({"crop": -1}, "crop must be an integer of at least 0"),
        ({"ema": 1.0}, r"ema must lie in \[0, 1\)"),
        ({"surrogate": "sofd"}, "surrogate must be one of .*did you mean soft"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"learning_rate": 1e30}, "the training loss must stay finite"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        trained(**kwargs)


@pytest.mark.parametrize("kwargs", [{"clean_weight": 1.0}, {"warmup_epochs": -1}, {"ramp_epochs": -1}])
def test_bad_mixes_are_refused(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=f"{name} must"):
        AdversarialTraining(PGD, **kwargs)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: TRADES(PGD, beta=-1.0), "beta must be finite and at least 0"),
        (lambda: TRADES(attacks.FGSM(eps=0.1)), "TRADES needs an attack with steps, e.g. PGD.*Received: attack='FGSM'"),
        (lambda: TRADES(PGD, ramp_epochs=-1), "ramp_epochs must be at least 0"),
    ],
)
def test_bad_trades_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_labels_outside_the_model_s_classes_are_refused():
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 5\)"):
        training.fit(architectures.build("mlp", classes=5), small_digits(), **SETTINGS)
