"""Monte-Carlo tables, figures and charts of `reproduce`: held to numpy, to closed forms, and to what is drawn."""

import csv
import dataclasses

import helpers
import keras
import matplotlib
import numpy as np
import pytest

from tfrobust import architectures, attacks, data, evaluation, layers, reproduce, training
from tfrobust.reproduce import Item, Row, charts, items, measures, monte_carlo

pytestmark = pytest.mark.tensorflow

FGSM = attacks.FGSM(eps=0.3, eot=1)
SUITE = {"clean": None, "FGSM": FGSM}


@pytest.fixture(scope="module")
def network():
    """A network with dropout at inference that has learnt the digits."""
    keras.utils.set_random_seed(0)
    model = architectures.build("mlp_mcd")
    training.fit(model, "digits", epochs=10, show_progress=False)
    return model


def digits(split="test", n=60):
    images = data.load("digits", split, n)
    return images.pixels(), images.labels


# Monte-Carlo measures


def test_one_pass_and_fifty_are_counted_apart_on_the_same_images(network):
    x, y = digits()
    found = monte_carlo.accuracies(SUITE)({"a": network}, x, y)["a"]
    one, many = evaluation.uncertainty(network, x, 1, seed=1), evaluation.uncertainty(network, x)
    assert found["clean-S"] == pytest.approx(100 * (one.predicted == y).mean())
    assert found["clean-M"] == pytest.approx(100 * (many.predicted == y).mean())
    assert found["clean-M"] >= found["clean-S"] > 80 > max(found["FGSM-S"], found["FGSM-M"])


def test_every_image_is_attacked_even_one_that_is_wrong_already():
    (x, y), model = helpers.linear_images(), helpers.linear_model()
    away = np.where(y == 1, 0.1, -0.1)[:, None, None, None] * np.sign(helpers.linear_weights(model))
    made = monte_carlo.attacked(attacks.FGSM(eps=0.1), model, x, 1 - y)
    np.testing.assert_allclose(made, x + away, atol=1e-6)
    assert monte_carlo.attacked(None, model, x, y) is x


def test_the_detectors_are_fitted_on_held_out_images_and_tried_on_the_others(network, monkeypatch):
    # An attack without draws, so that both ways see the same images.
    monkeypatch.setattr(monte_carlo, "attacked", lambda attack, model, x, y: x if attack is None else 1 - x)
    x, _ = digits()
    other, _ = digits("validation")
    found = monte_carlo.detection(SUITE, "digits")({"a": network}, x, None)["a"]
    clean, attacked, clean_other, attacked_other = (
        evaluation.uncertainty(network, images).variance for images in (x, 1 - x, other, 1 - other)
    )
    detectors = evaluation.LogisticDetector, evaluation.MixtureDetector
    right = [100 * kind.fit(clean_other, attacked_other).score(clean, attacked).accuracy for kind in detectors]
    moments = [value for each in (clean, attacked) for value in (each.mean(), each.var())]
    assert list(found.values()) == pytest.approx([*moments, *right])
    assert list(found) == ["clean mu", "clean sigma", "FGSM mu", "FGSM sigma", "FGSM LR", "FGSM mixture"]


def test_the_bins_of_a_histogram_count_every_image(network):
    x, y = digits()
    found = monte_carlo.histograms(SUITE)({"a": network}, x, y)["a"]
    counts, _ = evaluation.histogram(evaluation.uncertainty(network, x).variance)
    clean = [count for column, count in found.items() if column.startswith("clean 0")]
    attacked = [count for column, count in found.items() if column.startswith("FGSM 0")]
    assert clean == counts.tolist() and len(attacked) == 100 and sum(attacked) == 60
    assert found["FGSM mu"] > found["clean mu"] and "clean 0.03465" in found


def test_the_paper_s_networks_and_figures_stand_in_all_its_tables():
    tables = [item for name, item in reproduce.ITEMS.items() if name.startswith("mcd/")]
    assert {item.n for item in tables} == {500} and len(tables) == 5
    for item in tables:
        assert [row.entry for row in item.rows] == [row.entry for row in tables[0].rows]
    means = [[row.paper["FGSM mu"] for row in tables[index].rows] for index in (2, 4)]
    assert means[0] == means[1]


# A layer rounded


@pytest.mark.parametrize("place", [1, 2, 3])
def test_one_layer_takes_the_nearer_of_two_values_per_map(place):
    rounded = measures._rounded(architectures.build("cnn_small"), place)
    (layer,) = [layer for layer in rounded.layers if isinstance(layer, layers.SQA)]
    before, after = (
        np.asarray(keras.Model(rounded.input, tensor)(digits(n=4)[0])) for tensor in (layer.input, layer.output)
    )
    assert layer.input is rounded.get_layer(f"activation_{place}").output
    for image, made in zip(before, after, strict=True):
        low, high = image.min(), image.max()
        np.testing.assert_allclose(made, np.where(image > (low + high) / 2, high, low), atol=1e-5)


def test_accuracy_over_budgets_falls_from_the_clean_one_to_no_less_than_the_worst_case():
    x, y = digits(n=40)
    models = {label: architectures.build("cnn_small") for label in ("none", "layer 1")}
    measure = measures.rounded_layer({"none": None, "layer 1": 1}, (0.0, 0.1, 0.3), "digits", epochs=3, n_worst=10)
    for figures in measure(models, x, y).values():
        worst, n = figures.pop("worst case")
        assert list(figures) == ["0", "0.1", "0.3"] and n == 10
        assert figures["0"] > 60 and figures["0"] > figures["0.3"]
        assert 0 <= worst <= 100


# Results and charts


def figure_item(**kwargs):
    columns = {"0": None, "0.3": None}
    rows = tuple(Row(label, entry, columns) for label, entry in (("a", "mlp"), ("b", "lenet")))
    return Item(title="A figure", data="digits", rows=rows, is_trained=False, **kwargs)


def test_fresh_networks_start_alike_and_bring_their_own_worst_case_and_columns(monkeypatch, tmp_path):
    def measure(models, x, y):
        size = {label: float(np.abs(model.layers[-1].kernel).sum()) for label, model in models.items()}
        return {label: {"0": size[label], "0.3": 1.0, "beside": 7, "worst case": (5.0, 9)} for label in models}

    monkeypatch.setitem(items.ITEMS, "a/figure", figure_item(measure=measure, n=30))
    result, again = reproduce.run("a/figure"), reproduce.run("a/figure", n=20)
    assert (result.n, again.n) == (30, 20) and result.measured == again.measured
    assert result.worst == {"a": (5.0, 9), "b": (5.0, 9)}
    assert [row[-1] for row in result.rows()] == ["5.0 (9)"] * 2 and result.headings[2:-1] == ("0", "0.3")
    with open(result.write(tmp_path)[0], newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["column"] for line in lines[:3]] == ["0", "0.3", "beside"] and lines[2]["ours"] == "7"


def result_of(measured, worst, **kwargs):
    return reproduce.Result("a/figure", figure_item(measure=None, **kwargs), 10, measured, worst)


def test_curves_draw_a_line_per_measured_row_and_its_worst_case_at_the_last_budget():
    (axes,) = charts.curves(result_of({"a": {"0": 99.0, "0.3": 40.0}}, {"a": (3.0, 9)})).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["a"] == [[0.0, 99.0], [0.3, 40.0]] and "b" not in lines
    assert [[0.3, 3.0]] in lines.values()


def test_histograms_draw_each_kind_of_each_measured_row_as_counted():
    measured = {"a": {"0": 1.0, "clean 0.0": 3, "clean 0.1": 0, "FGSM 0.0": 1, "FGSM 0.1": 2}}
    (axes,) = charts.histograms(result_of(measured, {"a": (3.0, 9)})).axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in axes.containers}
    assert heights == {"clean": [3, 0], "FGSM": [1, 2]} and axes.get_title() == "a; worst case 3.0 % (9)"
    assert {bar.get_width() for bar in axes.patches} == {0.1}


def test_bars_leave_out_what_the_paper_or_we_lack():
    result = result_of({"a": {"0": 50.0, "0.3": 20.0}}, {})
    row = dataclasses.replace(result.item.rows[0], paper={"0": 60.0, "0.3": None})
    item = dataclasses.replace(result.item, rows=(row, result.item.rows[1]))
    first, second = charts.bars(dataclasses.replace(result, item=item)).axes
    widths = [[bar.get_width() for bar in axes.patches if np.isfinite(bar.get_width())] for axes in (first, second)]
    assert widths == [[60.0, 50.0], [20.0]]


@pytest.mark.parametrize("chart", [charts.bars, charts.curves, charts.histograms])
def test_a_chart_of_nothing_measured_is_an_empty_figure(chart):
    assert isinstance(chart(result_of({}, {})), matplotlib.figure.Figure)
