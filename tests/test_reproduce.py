"""Tables of the papers, measured again: what is asked of each item, and what comes out."""

import csv
import json

import numpy as np
import pytest

from tfrobust import architectures, attacks, cli, data, losses, reproduce, zoo
from tfrobust.reproduce import Item, Row, black_box, items, measures

pytestmark = pytest.mark.tensorflow

FGSM = attacks.FGSM(eps=0.1)
TABLE = Item(
    title="A table",
    data="digits",
    rows=(
        Row("ours", "lenet_dqa2.digits_pgd", {"clean": 99.0, "FGSM": 50.0}),
        Row("not trained", "lenet_dqa3.digits_pgd", {"clean": 98.0}),
    ),
    measure=measures.accuracies({"FGSM": FGSM}),
    reading="A reading.",
)


@pytest.fixture
def result(monkeypatch):
    monkeypatch.setitem(items.ITEMS, "a/table", TABLE)
    return reproduce.run("a/table", n=50)


@pytest.mark.parametrize("name", reproduce.ITEMS)
def test_item_names_networks_that_can_be_built_and_figures_in_its_unit(name):
    item = reproduce.ITEMS[name]
    assert len({row.label for row in item.rows}) == len(item.rows) and item.columns
    for row in item.rows:
        architectures.split_name(row.entry.split(".")[0])
        figures = [figure for figure in row.paper.values() if figure is not None]
        assert all(0 <= figure <= 100 if item.as_percent else figure >= 0 for figure in figures)


def test_figures_are_those_of_the_attack_itself_and_the_card_s_worst_case(result):
    model, test = zoo.load("lenet_dqa2.digits_pgd"), data.load("digits", "test", 50)
    clean = (np.asarray(model(test.pixels())).argmax(-1) == test.labels).mean()
    attacked = (~FGSM(model, test.pixels(), test.labels).success).mean()
    assert result.measured == {"ours": pytest.approx({"clean": 100 * clean, "FGSM": 100 * attacked})}
    worst = next(each for each in zoo.card("lenet_dqa2.digits_pgd").accuracies() if each.name == "worst case")
    assert result.worst == {"ours": (100 * worst.value, worst.n)}


def test_a_row_without_weights_says_so_and_a_figure_that_the_paper_lacks_is_a_dash(result):
    ours, missing = result.rows()
    assert missing == ("not trained", "lenet_dqa3.digits_pgd", "98.0 / –", "– / –", "no weights yet")
    assert ours[2].startswith("99.0 / ") and ours[3].startswith("50.0 / ") and ours[4].endswith("(360)")


def test_csv_markdown_and_chart_are_written(result, tmp_path):
    table, text, chart = result.write(tmp_path)
    with open(table, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["paper"] for line in lines] == ["99.0", "50.0", "98.0", ""]
    assert float(lines[1]["ours"]) == result.measured["ours"]["FGSM"] and lines[2]["ours"] == ""
    assert text.read_text(encoding="utf-8") == result.markdown() and "A reading." in result.markdown()
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_the_command_lists_items_measures_one_and_refuses_bad_input(result, tmp_path, capsys):
    assert cli.main(["reproduce", "--json"]) == 0
    assert "a/table" in json.loads(capsys.readouterr().out)
    assert cli.main(["reproduce", "a/table", "-n", "20", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_table.csv", "a_table.md", "a_table.png"]
    for arguments, message in (
        (["a/tabel"], "did you mean a/table"),
        (["a/table", "-n", "0"], "n must be an integer of at least 1"),
        (["a/table", "--out", str(tmp_path / "nowhere")], "--out must be a folder"),
    ):
        assert cli.main(["reproduce", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_training_step_s_time_grows_with_the_steps_of_its_attack():
    suite = {"one": FGSM, "many": attacks.PGD(eps=0.1, eps_iter=0.01, nb_iter=40)}
    test = data.load("digits", "test", 32)
    models = {label: architectures.build("mlp") for label in suite}
    figures = measures.step_seconds(suite, batch=32, rounds=3)(models, test.pixels(), test.labels)
    assert figures["one"]["times FGSM's"] == 1 and figures["many"]["times FGSM's"] > 3
    assert figures["many"]["seconds"] > figures["one"]["seconds"] > 0


def test_the_reference_budget_is_the_one_at_which_fgsm_halves_the_defended_network():
    test, defended = data.load("digits", "test", 40), zoo.load("lenet_dqa2.digits_pgd")
    models = {"Net, Deep Defense": defended, "Other, Reference": defended}
    both = measures.deep_defense(models, test.pixels(), test.labels)
    figures = both["Net, Deep Defense"]
    assert figures["1.0 eps_ref"] <= 50 < figures["0.2 eps_ref"] <= figures["clean"] and figures["rho_2"] > 0
    assert set(both["Other, Reference"]) == {"clean", "rho_2"}  # without its defended network there is no budget
    distances = measures.deep_defense_distances(0.1)({"a": defended}, test.pixels(), test.labels)["a"]
    assert (
        set(distances) == set(reproduce.ITEMS["dd/supplement2"].columns)
        and distances["L2 C&W"] <= 1.1 * distances["L2 DeepFool"]
    )


def test_least_distance_attacks_count_images_that_were_right():
    model, test = zoo.load("lenet_dqa2.digits_pgd"), data.load("digits", "test", 40)
    x, y = test.pixels(), test.labels
    right = np.asarray(model(x)).argmax(-1) == y
    found = attacks.DeepFool()(model, x[right][:20], y[right][:20])
    figures = black_box.least_distance(attacks.DeepFool(), n=20)({"a": model}, x, y)["a"]
    assert figures["clean"] == pytest.approx(100 * right.mean())
    assert figures["success"] == pytest.approx(100 * found.success.mean()) and figures["success"] > 90
    assert figures["L2"] == pytest.approx(found.distance[found.success].mean())
    beyond_reach = attacks.DeepFool(eps=1e-6)
    assert set(black_box.least_distance(beyond_reach)({"a": model}, x, y)["a"]) == {"clean", "success"}


def test_substitutes_are_trained_once_and_what_fools_them_is_shown_to_the_networks(monkeypatch):
    trained, fit = [], black_box.training.fit

    def remembered(model, *args, **kwargs):
        trained.append(model)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(black_box.training, "fit", remembered)
    test, networks = data.load("digits", "test", 60), {"a by mlp": "mlp", "b by mlp": "mlp"}
    x, y, victim = test.pixels(), test.labels, zoo.load("lenet_dqa2.digits_pgd")
    measure = black_box.substitutes(attacks.FGSM(eps=0.2), networks, "digits", epochs=8)
    found = measure(dict.fromkeys(networks, victim), x, y)
    (substitute,) = trained
    assert found["a by mlp"] == found["b by mlp"] and found["a by mlp"]["substitute"] > 70
    slope = attacks.Victim(substitute, x[:4]).gradient(losses.cross_entropy, x, y)
    images = np.clip(x + 0.2 * np.sign(slope), 0, 1)
    for column, model, seen in (
        ("clean", victim, x),
        ("attacked", victim, images),
        ("substitute", substitute, x),
        ("substitute attacked", substitute, images),
    ):
        assert found["a by mlp"][column] == pytest.approx(100 * (np.asarray(model(seen)).argmax(-1) == y).mean())
