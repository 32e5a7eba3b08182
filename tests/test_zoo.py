"""The zoo: names, verified weights, typed records, cards that match what they describe."""

import dataclasses
import json
import re
import shutil
import time

import keras
import numpy as np
import pytest
from helpers import recipe_of

from tfrobust import architectures, data, zoo
from tfrobust.attacks import FGSM, PGD, ConstantOffset, UniformNoise
from tfrobust.evaluation import evaluate, masking
from tfrobust.training import AdversarialTraining
from tfrobust.zoo import Recipe, facts, manifest, measure, publish, weights

pytestmark = pytest.mark.tensorflow

NAMES = [name for name, entry in manifest.read().items() if entry.is_trained]
SHIPPED = {
    "cnn_large.mnist_fgsm",
    "cnn_large_sqa.mnist_fgsm",
    "cnn_small.mnist_fgsm",
    "cnn_small_sqa.mnist_fgsm",
    "lenet.mnist_adv_train_1",
    "lenet.mnist_clean",
    "lenet.mnist_deep_defense",
    "lenet.mnist_parseval",
    "lenet.mnist_pgd",
    "lenet_bnn_mcd.mnist_dropout",
    "lenet_dqa1.mnist_pgd",
    "lenet_dqa2.digits_pgd",
    "lenet_dqa2.mnist_pgd",
    "lenet_dqa3.mnist_pgd",
    "lenet_fixed1.mnist_pgd",
    "lenet_fixed2.mnist_pgd",
    "lenet_fixed3.mnist_pgd",
    "lenet_in1_dqa2.mnist_apgd",
    "lenet_in1_w4.mnist_mixed",
    "lenet_mcd.mnist_dropout",
    "lenet_randbnn.mnist_clean",
    "lenet_randbnn_mcd5.mnist_dropout",
    "lenet_w2_mcd.mnist_dropout",
    "lenet_w3_mcd.mnist_dropout",
    "lenet_w4_mcd.mnist_dropout",
    "mlp.mnist_adv_train_1",
    "mlp.mnist_clean",
    "mlp.mnist_deep_defense",
    "mlp.mnist_parseval",
    "resnet18.cifar10_fgsm",
    "resnet18_dqa2.cifar10_fgsm",
    "resnet18_dqa2.cifar10_finetuned",
    "resnet18x16.cifar10_fgsm",
    "resnet18x16_dqa2.cifar10_fgsm",
    "resnet18x16_dqa2.cifar10_finetuned",
}
needs_mnist = pytest.mark.skipif(not data.is_available("mnist"), reason="needs MNIST")


@pytest.fixture
def copied(tmp_path):
    """A writable copy of the zoo."""
    return shutil.copytree(manifest.folder(), tmp_path / "zoo")


def test_the_zoo_ships_the_entries_that_it_names():
    assert set(NAMES) == SHIPPED


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_loads_from_what_is_shipped(name):
    model = zoo.load(name)
    assert model.name == manifest.resolve(name).model
    logits = np.asarray(model(np.zeros((2, *model.input_shape[1:]), "float32")))
    assert logits.shape == (2, 10) and np.isfinite(logits).all()


def test_a_model_s_name_means_its_default_entry():
    assert manifest.resolve("lenet_dqa2").name == "lenet_dqa2.mnist_pgd"
    first, second = (zoo.load(name).get_weights() for name in ("lenet_dqa2", "lenet_dqa2.mnist_pgd"))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_without_weights_a_fresh_network_is_built():
    keras.utils.set_random_seed(0)
    first, second = (zoo.load("lenet_fixed3", weights=None).get_weights()[0] for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    "name, near",
    [
        ("lenet_dqa", "lenet_dqa3 or lenet_dqa2 or lenet_dqa1"),
        ("resnet_dqa2", "resnet18_dqa2 or lenet_dqa2 or resnet18_dqa3"),
        ("lenet_dqa2.cifar", "lenet_dqa2 or resnet18_dqa2.cifar10_pgd or resnet18_dqa2.cifar10_fgsm"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name, near):
    message = f" (did you mean {near}?). Received: {name!r}"
    with pytest.raises(ValueError, match=f"^a model must be one of [a-z0-9_., ]*{re.escape(message)}$"):
        zoo.load(name)


def test_a_network_without_weights_is_refused_with_those_that_have_some_and_the_near_ones_among_them():
    models = ", ".join(sorted({name.split(".")[0] for name in SHIPPED}))
    message = "lenet_dqa5 has no trained weights yet: load it with weights=None, or take one of "
    message += f"{models} (did you mean lenet_dqa3 or lenet_dqa2 or lenet_dqa1?). Received: 'lenet_dqa5'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        zoo.load("lenet_dqa5")


def test_architecture_arguments_do_not_go_with_trained_weights():
    with pytest.raises(ValueError, match="its arguments need weights=None. Received: classes=5"):
        zoo.load("lenet_dqa2", classes=5)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _flip_a_bit])
def test_a_damaged_weight_file_is_refused_before_it_is_opened(damage, copied, monkeypatch):
    damage(copied / "weights" / manifest.resolve("lenet_dqa2").weights)
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: pytest.fail("the file was opened"))
    with pytest.raises(ValueError, match="the weight file must have SHA-256 .* cut short or changed"):
        zoo.load("lenet_dqa2", zoo=copied)


def test_a_missing_weight_file_is_named(copied):
    (copied / "weights" / manifest.resolve("lenet_dqa2").weights).unlink()
    with pytest.raises(ValueError, match="the weight file must exist.*TFROBUST_ZOO.* path='lenet_dqa2.mnist_pgd.npz'"):
        zoo.load("lenet_dqa2", zoo=copied)


def test_weights_of_another_network_are_refused(tmp_path):
    digest, _ = weights.save(zoo.load("mlp", weights=None), tmp_path / "mlp.npz")
    with pytest.raises(ValueError, match="the weights must fit lenet"):
        weights.load(zoo.load("lenet", weights=None), tmp_path / "mlp.npz", digest)


def test_weights_come_back_to_float16_precision(tmp_path):
    saved, loaded = (zoo.load("lenet_dqa2", weights=None) for _ in range(2))
    digest, size = weights.save(saved, tmp_path / "w.npz")
    weights.load(loaded, tmp_path / "w.npz", digest)
    for a, b in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a.astype("float16"), b)
    assert size == (tmp_path / "w.npz").stat().st_size < 2.1 * saved.count_params()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "a record of Entry must have exactly its typed fields. Received: wrong=.'extra'"),
        ({"bytes": "many"}, "must have exactly its typed fields. Received: wrong=.'bytes'"),
        ({"data": None}, "must have exactly its typed fields. Received: wrong=.'data'"),
        ({"sha256": None}, "must have a weight file, its hash and its size, or none of them.*sha256=None"),
    ],
)
def test_a_manifest_record_with_other_fields_or_types_is_refused(change, message, copied):
    records = {record["name"]: record for record in json.loads((copied / "manifest.json").read_text())}
    records["lenet.mnist_pgd"].update(change)
    (copied / "manifest.json").write_text(json.dumps(list(records.values())))
    with pytest.raises(ValueError, match=message):
        manifest.read(copied)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_s_markdown_is_what_its_record_says(name):
    card = zoo.card(name)
    assert (manifest.folder() / "cards" / f"{name}.md").read_text() == str(card)
    assert card.weights_bytes == manifest.resolve(name).bytes
    assert card.parameters == zoo.load(name).count_params()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_states_gradient_free_figures_and_a_worst_case_no_better_than_any(name):
    card = zoo.card(name)
    kinds = {accuracy.name.split("(")[0].split("-")[0].split("+")[0] for accuracy in card.accuracies()}
    assert kinds >= {"clean", "FGSM", "PGD", "Square", "UniformNoise", "ConstantOffset", "worst case"}
    recipe = recipe_of(name)
    assert ("Transfer" in kinds) == (recipe.transfer_from is not None)
    same_images = [a for a in card.accuracies() if a.n == card.worst["n"]]
    assert card.worst["correct"] <= min(accuracy.correct for accuracy in same_images)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_s_worst_case_is_no_better_than_the_adaptive_suite_s_and_its_verdict_follows_its_checks(name):
    card = zoo.card(name)
    left = [record["correct"] for record in card.adaptive]
    assert left == sorted(left, reverse=True) and card.worst["accuracy"] <= card.adaptive[-1]["accuracy"]
    assert card.verdict == masking.verdict([masking.Check(**check) for check in card.checks])


SAMPLE = {"mnist": 1000, "cifar10": 300}  # images: a residual network's take longer
STEP = {"mnist": 1 / 30, "cifar10": 1 / 4}  # of PGD, in budgets
SAMPLED = [name for name in NAMES if zoo.card(name).data in SAMPLE and not zoo.card(name).is_random]


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_a_card_s_figures_are_measured_again_on_a_sample(name):
    card, eps = zoo.card(name), recipe_of(name).eps
    if not data.is_available(card.data):
        pytest.skip(f"needs {card.data}")
    attacks = [UniformNoise(eps=eps), ConstantOffset(eps=eps, offsets=(eps,)), FGSM(eps=eps)]
    attacks.append(PGD(eps=eps, eps_iter=eps * STEP[card.data], nb_iter=40, seed=1))
    settings = {"n": SAMPLE[card.data], "examine": False, "show_progress": False}
    report = evaluate(zoo.load(name), card.data, eps, suite=attacks, **settings)
    stated = {accuracy.name: accuracy.value for accuracy in card.accuracies()}
    for accuracy in (report.clean, *report.attacks):
        low, high = accuracy.interval  # the card's figure is over many more images
        assert low - 0.02 <= stated[accuracy.name] <= high + 0.02


@needs_mnist
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if "mnist" in name and zoo.card(name).is_random])
def test_a_random_card_s_figures_are_measured_again_without_gradients(name):
    card, eps = zoo.card(name), recipe_of(name).eps
    attacks = [UniformNoise(eps=eps), ConstantOffset(eps=eps, offsets=(eps,))]
    report = evaluate(zoo.load(name), "mnist", eps, suite=attacks, n=300, examine=False, show_progress=False)
    stated = {accuracy.name: accuracy for accuracy in card.accuracies()}
    for found in (report.clean, *report.attacks):
        value, n = stated[found.name].value, stated[found.name].n
        assert abs(found.value - value) <= 3 * np.sqrt(value * (1 - value) * (1 / found.n + 1 / n))


def test_list_models_prints_a_table_and_filters_by_data():
    listed = zoo.list_models("digits")
    assert [card.name for card in listed] == ["lenet_dqa2.digits_pgd"]
    assert "lenet_dqa2.digits_pgd" in str(listed) and "worst case" in str(listed)
    with pytest.raises(ValueError, match="no entry was trained on this data set"):
        zoo.list_models("imagenet")


def test_list_models_tells_trained_from_untrained_and_its_markdown_holds_what_is_measured():
    trained, untrained = zoo.list_models(trained=True), zoo.list_models(trained=False)
    assert [card.name for card in trained] == NAMES
    assert {card.verdict for card in untrained} == {"untrained"} and "resnet18_w1a1" in str(untrained)
    assert sorted(card.name for card in zoo.list_models()) == sorted(card.name for card in [*trained, *untrained])
    assert zoo.list_models().markdown() == trained.markdown() and len(trained.markdown().splitlines()) == 2 + len(NAMES)


@pytest.mark.parametrize(
    ("name", "seconds", "settings"), [("lenet_dqa2", 0.5, {}), ("resnet18_dqa2", 2, {"weights": None})]
)
def test_loading_takes_a_moment(name, seconds, settings):
    zoo.load(name, **settings)
    started = time.process_time()
    zoo.load(name, **settings)
    assert time.process_time() - started < 2 * seconds


def test_a_recipe_run_publishes_weights_manifest_and_card(tmp_path):
    defense = AdversarialTraining(FGSM(eps=0.1), clean_weight=0.5)
    recipe = Recipe(name="mlp_dqa2.try", data="digits", defense=defense, epochs=1, eps=0.1, n=20, n_costly=5)
    card = publish(recipe, runs=tmp_path / "runs", zoo=tmp_path / "zoo", show_progress=False)
    assert dataclasses.asdict(zoo.card("mlp_dqa2", zoo=tmp_path / "zoo")) == dataclasses.asdict(card)
    assert (card.activation_bits, card.weight_bits, card.clean["n"]) == (2, 32, 20)
    assert len(card.training_log) == 1 and card.training_seconds > 0
    assert zoo.load("mlp_dqa2", zoo=tmp_path / "zoo").count_params() == card.parameters

    # Measured once more, on more images: the weights and what is said of their training stay.
    shipped = (tmp_path / "zoo" / "weights" / "mlp_dqa2.try.npz").read_bytes()
    again = measure(dataclasses.replace(recipe, n=30), zoo=tmp_path / "zoo", show_progress=False)
    assert zoo.card("mlp_dqa2", zoo=tmp_path / "zoo") == again and again.clean["n"] == 30
    assert (tmp_path / "zoo" / "weights" / "mlp_dqa2.try.npz").read_bytes() == shipped
    assert (again.training_log, again.training_seconds) == (card.training_log, card.training_seconds)
    with pytest.raises(ValueError, match="must have been made by this recipe's training settings"):
        measure(dataclasses.replace(recipe, epochs=2), zoo=tmp_path / "zoo", show_progress=False)
    untrained = dataclasses.replace(recipe, name="mlp_dqa2.untrained", is_default=False)
    zoo.enter(untrained, tmp_path / "zoo")
    with pytest.raises(ValueError, match="has no trained weights yet"):
        measure(untrained, zoo=tmp_path / "zoo", show_progress=False)


@pytest.mark.parametrize(
    "name, bits",
    [
        ("lenet", 32),
        ("lenet_in1_dqa2", 2),
        ("lenet_in1_w4", 32),
        ("lenet_w1a2", 2),
        ("cnn_small_sqa", 1),
        ("resnet20x2_in1", 32),
        ("mlp_in1_fixed3", 3),
    ],
)
def test_a_card_s_activation_bits_are_the_lowest_of_the_activations_not_of_the_images(name, bits):
    assert facts.activation_bits(architectures.build(name)) == bits
