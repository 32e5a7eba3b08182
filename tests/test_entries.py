"""Every entry, trained or not: recipe, card, row, costs, and the same network on both backends."""

import collections
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import twins
from helpers import recipe_of, sized

import tfrobust
from tfrobust import architectures, data, zoo
from tfrobust.types import ThreatModel
from tfrobust.zoo import facts, manifest

pytestmark = pytest.mark.tensorflow

ENTRIES = manifest.read()
RECIPES = {path.stem for path in (manifest.folder() / "recipes").glob("*.py")}
UNTRAINED = [name for name, entry in ENTRIES.items() if not entry.is_trained]
NETWORKS = {(entry.model, entry.data): name for name, entry in ENTRIES.items()}


def test_every_recipe_has_its_row_and_its_card_and_each_of_them_its_recipe():
    cards = {path.name.removesuffix(".json") for path in (manifest.folder() / "cards").glob("*.json")}
    assert RECIPES == set(ENTRIES) == cards


def test_a_model_has_at_most_one_default_entry():
    defaults = collections.Counter(entry.model for entry in ENTRIES.values() if entry.is_default)
    assert set(defaults.values()) == {1}


@pytest.mark.parametrize("name", ENTRIES)
def test_row_and_card_say_what_the_recipe_says(name):
    recipe, entry, card = recipe_of(name), ENTRIES[name], zoo.card(name)
    assert recipe.name == name and (recipe.threat, recipe.is_default) == (entry.threat, entry.is_default)
    assert (recipe.data, recipe.model) == (entry.data, entry.model) == (card.data, card.model)
    assert (recipe.text(), recipe.paper, recipe.seed) == (card.recipe, card.paper, card.seed)
    assert card.threat == str(ThreatModel(recipe.eps))


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.data == "cifar10"])
def test_entries_for_cifar_10_are_measured_at_8_255(name):
    assert zoo.card(name).threat == "Linf 8/255 on [0,1]"


@pytest.mark.parametrize("name", ENTRIES)
def test_what_a_recipe_begins_with_and_transfers_from_is_an_entry_of_the_same_data(name):
    recipe = recipe_of(name)
    for other in filter(None, (recipe.start, recipe.transfer_from)):
        assert data.SHAPES[ENTRIES[other].data] == data.SHAPES[recipe.data] and other != name


@pytest.mark.parametrize("network", NETWORKS, ids="-".join)
def test_a_card_s_costs_are_those_of_its_network(network):
    model, dataset = network
    counted = facts.of(sized(model, input_shape=data.SHAPES[dataset]))
    card = zoo.card(NETWORKS[network])
    assert {name: getattr(card, name) for name in counted} == counted
    assert card.macs == sum(card.macs_by_bits.values()) and 0 < card.size_ratio <= 1


@pytest.mark.parametrize("name", UNTRAINED)
def test_an_entry_without_weights_says_so_and_shows_the_paper_s_figures(name):
    card = zoo.card(name)
    text = str(card)
    assert (card.verdict, card.clean, card.worst, card.int8, card.weights_bytes) == ("untrained", *4 * (None,))
    assert not card.attacks + card.adaptive + card.checks + card.training_log + card.accuracies()
    assert "No trained weights yet" in text and card.recipe in text and card.paper.get("source", "") in text
    assert all(f"{figure:.2f}%" in text for figure in card.paper.values() if isinstance(figure, float))


@pytest.mark.parametrize("name", ["resnet18_dqa1", "resnet18_dqa1.cifar10_pgd"])
def test_weights_that_are_not_there_yet_are_refused_with_the_recipe_that_makes_them(name, tmp_path):
    recipe = recipe_of("resnet18_dqa1.cifar10_pgd")
    zoo.enter(recipe, zoo=tmp_path)
    with pytest.raises(
        ValueError, match=r"no trained weights yet: run its recipe, zoo/recipes/resnet18_dqa1.cifar10_pgd"
    ):
        zoo.load(name, zoo=tmp_path)


def test_a_fresh_network_is_loaded_for_the_images_of_its_entry():
    fresh = zoo.load("conv3_bnn.mnist_clean", weights=None, classes=3)
    assert (fresh.input_shape, fresh.output_shape) == ((None, 28, 28, 1), (None, 3))
    assert zoo.load("conv3_bnn", weights=None).input_shape == (None, 32, 32, 3)


# One network for each architecture and kind of quantization


@pytest.mark.parametrize("name", twins.names())
def test_a_saved_and_loaded_network_gives_the_same_logits(name, tmp_path):
    shape = twins.names()[name]
    model = twins.filled(name, shape)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(twins.logits(loaded, shape), twins.logits(model, shape))


@pytest.mark.slow
def test_every_network_gives_the_same_logits_on_both_backends(tmp_path):
    root, file = pathlib.Path(tfrobust.__file__).parent.parent, tmp_path / "jax.npz"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(root)}
    command = [sys.executable, str(pathlib.Path(twins.__file__)), str(file)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=600)
    with np.load(file) as on_jax:
        assert set(on_jax.files) == set(twins.names())
        for name, shape in twins.names().items():
            here = twins.logits(twins.filled(name, shape), shape)
            np.testing.assert_allclose(on_jax[name], here, rtol=1e-3, atol=1e-4 * np.abs(here).max(), err_msg=name)


def test_every_entry_s_network_is_among_them():
    wanted = {architectures.split_name(entry.model)[0] for entry in ENTRIES.values()}
    found = {architectures.split_name(name)[0] for name in twins.names()}
    assert found == {twins.SMALL.get(architecture, architecture) for architecture in wanted}
