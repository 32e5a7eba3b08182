"""Training runs: what they leave, how they come back from another machine, and what they compute in."""

import dataclasses
import shutil
import sys

import keras
import numpy as np
import pytest

from tfrobust import data, training
from tfrobust.training import Standard
from tfrobust.zoo import Recipe
from tfrobust.zoo.recipe import main
from tfrobust.zoo.runs import train

SHORT = Recipe(
    name="mlp.try", data="digits", defense=Standard(), epochs=1, flip=True, precision="mixed_bfloat16", crop=1
)


def test_a_finished_run_is_its_weights_and_its_record_wherever_it_was_made(tmp_path, monkeypatch):
    trained, history, machine = train(SHORT, tmp_path / "there", show_progress=False)
    (tmp_path / "here/mlp.try").mkdir(parents=True)
    for name in ("weights.npz", "run.json"):
        shutil.copy(tmp_path / "there/mlp.try" / name, tmp_path / "here/mlp.try")
    monkeypatch.setattr(training, "fit", None)
    again, same_history, same_machine = train(SHORT, tmp_path / "here")
    assert (same_history, same_machine) == (history, machine)
    for ours, theirs in zip(again.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="the folder must not hold a finished run of another recipe"):
        train(dataclasses.replace(SHORT, seed=1), tmp_path / "here")


def test_a_run_that_began_from_other_weights_is_not_gone_on_with(tmp_path, monkeypatch):
    begun = Recipe(name="lenet_dqa2.try", data="digits", defense=Standard(), epochs=1)

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("tfrobust.zoo.weights.save", kill)  # behind the last checkpoint
        train(begun, tmp_path, show_progress=False)
    with pytest.raises(ValueError, match="the folder must not hold a run of another recipe"):
        train(dataclasses.replace(begun, start="lenet_dqa2.digits_pgd"), tmp_path, show_progress=False)
    train(begun, tmp_path, show_progress=False)


def test_a_run_whose_settings_were_refused_can_be_mended_in_its_folder(tmp_path):
    with pytest.raises(ValueError, match="epochs must be"):
        train(dataclasses.replace(SHORT, epochs=0), tmp_path, show_progress=False)
    train(SHORT, tmp_path, show_progress=False)


def test_training_computes_in_the_recipe_s_precision_and_what_is_shipped_in_float32(tmp_path, monkeypatch):
    fit, seen = training.fit, []
    monkeypatch.setattr(
        training, "fit", lambda model, *args, **kwargs: seen.append(model) or fit(model, *args, **kwargs)
    )
    trained, _, _ = train(SHORT, tmp_path, show_progress=False)
    assert {layer.compute_dtype for layer in seen[0].layers[1:-1]} == {"bfloat16"}
    assert {weight.dtype for weight in seen[0].weights} == {"float32"}
    assert seen[0].layers[-1].compute_dtype == "float32" and keras.config.dtype_policy().name == "float32"
    assert {layer.compute_dtype for layer in trained.layers} == {"float32"}
    x = data.load("digits", n=100).pixels()
    logits = [keras.ops.convert_to_numpy(model(x)) for model in (seen[0], trained)]
    assert logits[0].dtype == "float32"
    np.testing.assert_allclose(logits[0], logits[1], atol=0.05 * np.abs(logits[1]).max())


def test_an_accelerator_s_settings_are_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr("tfrobust.zoo.recipe.train", lambda recipe, runs, **_: seen.append((recipe.epochs, runs)))
    recipe = dataclasses.replace(SHORT, accelerator={"epochs": 30})
    for arguments in (["--train"], ["elsewhere", "--train", "--accelerator"]):
        monkeypatch.setattr(sys, "argv", ["try.py", *arguments])
        main(recipe)
    assert seen == [(1, "runs"), (30, "elsewhere")]


def test_a_recipe_s_command_measures_without_training(monkeypatch, capsys):
    monkeypatch.setattr("tfrobust.zoo.recipe.measure", lambda recipe: f"measured {recipe.name}")
    monkeypatch.setattr(sys, "argv", ["try.py", "--measure"])
    main(SHORT)
    assert capsys.readouterr().out == f"measured {SHORT.name}\n"
    monkeypatch.setattr(sys, "argv", ["try.py", "--measure", "--train"])
    with pytest.raises(SystemExit):
        main(SHORT)
