"""Suites, cascades, curves, state files, time limits and pages of an evaluation."""

import itertools
import json
import re
import xml.etree.ElementTree

import helpers
import keras
import numpy as np
import pytest

from tfrobust import attacks, layers
from tfrobust.evaluation import evaluate, inspection, papers, suites
from tfrobust.evaluation.ledger import NOT_TRIED, Ledger
from tfrobust.types import ThreatModel

pytestmark = pytest.mark.tensorflow

QUIET = {"show_progress": False, "examine": False}
THREAT = ThreatModel(0.3)


class Counted(attacks.AbstractBudgetAttack):
    """Breaks the images that are darker than `below` on average, and counts the images that it was given."""

    below = 0.5
    given = 0

    def propose(self, victim, x, y, rng):
        type(self).given += len(x)
        best = attacks.FGSM(eps=self.eps).propose(victim, x, y, rng)
        return np.where((x.mean((1, 2, 3)) < self.below)[:, None, None, None], best, x)


def counted(below):
    """An attack of a class of its own, so that each has its own count."""
    return type("Counted", (Counted,), {"below": below})(eps=1.0)


def small_quantized_model(**settings):
    """Three classes, a DQA activation."""
    model = keras.Sequential(
        [keras.Input(helpers.LINEAR_SHAPE), keras.layers.Flatten(), layers.DQA(2, **settings), keras.layers.Dense(3)]
    )
    model.name = "small"
    return model


@pytest.fixture
def images():
    x, y = helpers.linear_images(40)
    return x, y


def test_a_cascade_gives_each_attack_only_the_images_that_still_stand(images):
    x, y = images
    first, second = counted(0.49), counted(0.51)
    report = evaluate(helpers.linear_model(), images, 1.0, suite=suites.Suite([first, second], True), **QUIET)
    dark, darker = (x.mean((1, 2, 3)) < 0.51).sum(), (x.mean((1, 2, 3)) < 0.49).sum()
    assert (type(first).given, type(second).given) == (40, 40 - darker)
    assert [accuracy.correct for accuracy in report.attacks] == [40 - darker, 40 - dark]
    assert [accuracy.tried for accuracy in report.attacks] == [40, 40 - darker]
    assert report.worst.correct == 40 - dark and report.is_cascade


def test_a_cascade_s_worst_case_is_that_of_the_same_attacks_on_every_image(images):
    plan = [attacks.UniformNoise(eps=0.1), attacks.FGSM(eps=0.1), attacks.Square(eps=0.1, n_queries=20)]
    model = helpers.linear_model()
    reports = [evaluate(model, images, 0.1, suite=suites.Suite(plan, way), **QUIET) for way in (True, False)]
    assert abs(reports[0].worst.correct - reports[1].worst.correct) <= 1  # the random attacks draw anew


def test_images_that_are_wrong_already_are_not_attacked_in_a_cascade(images):
    x, y = images
    attack = counted(1.0)
    evaluate(
        helpers.linear_model(), (x, np.where(np.arange(40) < 10, 1 - y, y)), 1.0, suite=suites.Suite([attack], True),
        **QUIET,
    )  # fmt: skip
    assert type(attack).given == 30


def test_an_attack_beyond_the_threat_model_is_shown_but_does_not_count(images):
    plan = [attacks.FGSM(eps=0.01), attacks.FGSM(eps=0.5), attacks.FGSM(eps=5.0, norm=2)]
    report = evaluate(helpers.linear_model(), images, 0.01, suite=plan, **QUIET)
    assert report.attacks[1].correct == report.attacks[2].correct == 0
    assert report.worst.correct == report.attacks[0].correct > 0


def test_a_list_of_budgets_gives_a_falling_curve(images, tmp_path):
    curve = evaluate(helpers.linear_model(), images, [0.1, 0.0, 0.02], suite="adaptive", n=8, **QUIET)
    budgets = [report.eps for report in curve.reports]
    worst = [report.worst.value for report in curve.reports]
    assert budgets == [0.0, 0.02, 0.1] and worst[0] == 1.0 and worst == sorted(worst, reverse=True)
    assert [point[0] for point in curve.points()] == [report.threat for report in curve.reports]
    assert "worst case" in str(curve)
    assert len(json.loads(curve.to_json())["reports"]) == 3


class Killed(Exception):
    """Stands for a kill."""


def killing(attack, calls):
    """The same attack, but the process is killed in its `calls`-th batch."""
    counter = itertools.count(1)

    class Killing(type(attack)):
        def propose(self, *args):
            if next(counter) == calls:
                raise Killed
            return super().propose(*args)

        def __repr__(self):
            return repr(attack)

    Killing.__name__ = type(attack).__name__
    return Killing(eps=attack.eps)


@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize("is_cascade", [True, False])
def test_a_killed_evaluation_goes_on_and_ends_as_one_left_alone(calls, is_cascade, images, tmp_path):
    noise, fgsm = attacks.UniformNoise(eps=0.1), attacks.FGSM(eps=0.04)
    settings = QUIET | {"batch_size": 16, "state": tmp_path / "state.npz"}
    model = helpers.linear_model()
    with pytest.raises(Killed):
        evaluate(model, images, 0.1, suite=suites.Suite([noise, killing(fgsm, calls)], is_cascade), **settings)
    resumed = evaluate(model, images, 0.1, suite=suites.Suite([noise, fgsm], is_cascade), **settings)
    alone = evaluate(model, images, 0.1, suite=suites.Suite([noise, fgsm], is_cascade), **QUIET, batch_size=16)
    assert resumed.worst == alone.worst
    assert [a.correct for a in resumed.attacks] == [a.correct for a in alone.attacks]


def test_a_finished_state_file_answers_without_attacking(images, tmp_path):
    first, again = counted(0.5), counted(0.5)
    state = tmp_path / "state.npz"
    reports = [
        evaluate(helpers.linear_model(), images, 1.0, suite=[attack], state=state, **QUIET) for attack in (first, again)
    ]
    assert (type(first).given, type(again).given) == (40, 0)
    assert reports[0].worst == reports[1].worst


@pytest.mark.parametrize(
    "change, name",
    [({"model": helpers.linear_model(1)}, "model"), ({"data": 1}, "data"), ({"suite": 1}, "suite")],
)
def test_a_state_file_of_another_evaluation_is_refused_and_kept(change, name, images, tmp_path):
    state = tmp_path / "state.npz"
    suite = [attacks.FGSM(eps=0.1)]
    evaluate(helpers.linear_model(), images, 0.1, suite=suite, state=state, **QUIET)
    before = state.read_bytes()
    x, y = images
    data = (x[:20], y[:20]) if name == "data" else images
    suite = [attacks.FGSM(eps=0.05)] if name == "suite" else suite
    with pytest.raises(ValueError, match=f"must belong to this evaluation.*made with another {name}"):
        evaluate(change.get("model", helpers.linear_model()), data, 0.1, suite=suite, state=state, **QUIET)
    assert state.read_bytes() == before


def test_a_file_that_is_no_state_file_is_refused(images, tmp_path):
    (tmp_path / "state.npz").write_text("no archive")
    with pytest.raises(ValueError, match="must be one that an evaluation wrote"):
        evaluate(helpers.linear_model(), images, 0.1, suite="basic", state=tmp_path / "state.npz", **QUIET)


def test_a_time_limit_keeps_what_was_found_and_says_that_it_stopped(images, tmp_path):
    attack, state = counted(1.0), tmp_path / "state.npz"
    report = evaluate(
        helpers.linear_model(), images, 1.0, suite=[attack], time_limit=1e-6, state=state, **QUIET, batch_size=8
    )
    assert not report.is_complete and "stopped by the time limit" in str(report)
    assert report.attacks[0].tried == 0 and report.worst.correct == 40
    whole = evaluate(helpers.linear_model(), images, 1.0, suite=[attack], state=state, **QUIET, batch_size=8)
    assert whole.is_complete and whole.worst.correct == 0


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"time_limit": 0}, "time_limit must be above 0 seconds.*Received: time_limit=0"),
        ({"suite": []}, "a suite must hold at least one attack"),
        ({"suite": [attacks.FGSM(eps=0.1, targeted=True)]}, "attacks of a suite must not be targeted"),
        ({"suite": "standart"}, "suite must be one of .*did you mean standard"),
        ({"n": 0}, "n must be an integer of at least 1"),
    ],
)
def test_bad_settings_are_refused(settings, message, images):
    with pytest.raises(ValueError, match=message):
        evaluate(helpers.linear_model(), images, 0.1, **QUIET, **settings)


def test_a_model_that_returns_nan_and_an_empty_data_set_are_refused(images):
    x, y = images
    with pytest.raises(ValueError, match="a model must return finite logits"):
        evaluate(lambda x: np.full((len(x), 2), np.nan), images, 0.1, **QUIET)
    with pytest.raises(ValueError, match="at least one image"):
        evaluate(helpers.linear_model(), (x[:0], y[:0]), 0.1, **QUIET)
    with pytest.raises(ValueError, match="a curve needs at least one eps"):
        evaluate(helpers.linear_model(), images, [], **QUIET)


def test_the_adaptive_suite_looks_at_the_model():
    names = {
        kind: [attack.name for attack in suites.get("adaptive", THREAT, model).attacks]
        for kind, model in (("float", helpers.linear_model()), ("dqa", small_quantized_model()))
    }
    assert not any("BPDA" in name for name in names["float"])
    assert {"APGD-CE-100 (BPDA soft)", "APGD-CE-100 (BPDA identity)"} <= set(names["dqa"])
    other = [attack.name for attack in suites.get("adaptive", THREAT, small_quantized_model(surrogate="soft")).attacks]
    assert "APGD-CE-100 (BPDA ste)" in other and "APGD-CE-100 (BPDA soft)" not in other


@pytest.mark.parametrize("name", ["basic", "standard", "rand", "adaptive"])
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_a_suite_keeps_to_the_threat_model(name, norm):
    threat = ThreatModel(0.3, norm)
    plan = suites.get(name, threat, small_quantized_model(), [helpers.linear_model()])
    assert {attack.threat for attack in plan.attacks} == {threat}
    assert any("Transfer" in attack.name for attack in plan.attacks) == (name in ("basic", "adaptive"))


def test_the_standard_suite_is_autoattack_s():
    names = [attack.name for attack in suites.get("standard", THREAT).attacks]
    assert names == ["APGD-CE-100", "APGD-T9-100", "FAB-T9-100", "Square-5000"]


@pytest.mark.parametrize(
    "layer, paper",
    [
        (keras.layers.ReLU(), "dqa"),
        (layers.DQA(2), "dqa"),
        (layers.SQA(2), "sqa"),
        (layers.MCDropout(0.5), "mcd"),
        (layers.QuantDense(3, kernel_quantizer="binary"), "mcd"),
        (layers.QuantDense(3, kernel_quantizer="dorefa_weights2"), "lpr"),
    ],
)
def test_the_paper_suite_follows_the_model_s_layers(layer, paper):
    model = keras.Sequential([keras.Input((8,)), layer])
    assert papers.paper_of(model) == paper


@pytest.mark.parametrize("paper", papers.PAPERS)
def test_a_paper_s_settings_are_its_own_at_its_own_eps(paper):
    for threat in (THREAT, ThreatModel(8 / 255)):
        plan = papers.PAPERS[paper](threat)
        assert any(type(attack).__name__ == "FGSM" for attack in plan)
    pgd = {"sqa": (0.2, 0.01, 40), "dqa": (0.3, 0.01, 40), "mcd": (0.3, 0.01, 40), "dd": (0.1, 0.01, 40)}
    if paper in pgd:
        (found,) = [attack for attack in papers.PAPERS[paper](THREAT) if isinstance(attack, attacks.PGD)]
        assert (found.eps, found.eps_iter, found.nb_iter) == pytest.approx(pgd[paper])


def test_quantizers_are_found_in_models_inside_models():
    inner = small_quantized_model()
    outer = keras.Sequential([keras.Input(helpers.LINEAR_SHAPE), inner])
    assert [type(found).__name__ for found in inspection.quantizers_of(outer)] == ["DQAQuantizer"]
    assert inspection.quantizers_of(lambda x: x) == []


def test_a_page_holds_everything_and_needs_no_network(images, tmp_path):
    report = evaluate(helpers.linear_model(), images, 0.1, suite="basic", n=12, n_costly=4, show_progress=False)
    report.to_html(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    (svg,) = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    xml.etree.ElementTree.fromstring(svg)
    assert report.verdict in text and all(check.name in text for check in report.checks)
    assert text.count("<figure>") == len(report.examples) > 0


def test_a_curve_s_page_draws_accuracy_against_eps(images, tmp_path):
    curve = evaluate(helpers.linear_model(), images, [0.0, 0.05], suite="basic", n=8, n_costly=4, **QUIET)
    curve.to_html(tmp_path / "curve.html")
    assert "Accuracy against eps" in (tmp_path / "curve.html").read_text()
    with pytest.raises(ValueError, match="folder that can be written to"):
        curve.to_html(tmp_path / "missing" / "curve.html")


def test_examples_are_pairs_that_the_attack_broke(images):
    x, y = images
    report = evaluate(helpers.linear_model(), images, 0.3, suite=[attacks.FGSM(eps=0.3)], **QUIET)
    assert len(report.examples) == 8
    for pair in report.examples:
        assert pair.label != pair.decided and np.abs(pair.clean - pair.adversarial).max() <= 0.3 + 1e-6


def test_an_empty_ledger_has_tried_nothing(tmp_path):
    ledger = Ledger.open(tmp_path / "none.npz", {"model": "a"}, 2, 3)
    assert ledger.state.shape == (2, 3) and (ledger.state == NOT_TRIED).all() and not (tmp_path / "none.npz").exists()
