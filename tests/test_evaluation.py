"""Evaluation: counts, intervals, the worst case per image, and reports."""

import json
import math

import helpers
import numpy as np
import pytest

from tfrobust import attacks, data, evaluation, losses
from tfrobust.evaluation import Accuracy, evaluate, suites, wilson_interval
from tfrobust.types import ThreatModel

pytestmark = pytest.mark.tensorflow

QUIET = {"show_progress": False, "examine": False}


def flips(rows):
    """An attack that breaks exactly the linear victim's images in `rows`."""

    class Flips(attacks.AbstractBudgetAttack):
        name = "flips"

        def propose(self, victim, x, y, rng):
            best = attacks.FGSM(eps=self.eps).propose(victim, x, y, rng)
            return np.where(np.isin(np.arange(len(x)), rows)[:, None, None, None], best, x)

    return Flips(eps=1.0)


def test_the_worst_case_is_counted_per_image_over_all_attacks_even_of_one_name():
    x, y = helpers.linear_images(10)
    report = evaluate(helpers.linear_model(), (x, y), 1.0, suite=[flips([0, 1, 2]), flips([2, 3])], **QUIET)
    assert (report.clean.correct, report.clean.n) == (10, 10)
    assert [accuracy.correct for accuracy in report.attacks] == [7, 8]
    assert (report.worst.correct, report.worst.n) == (6, 10)


def test_an_image_that_is_wrong_clean_counts_against_every_attack():
    x, y = helpers.linear_images(10)
    y = np.where(np.arange(10) < 4, 1 - y, y)
    report = evaluate(helpers.linear_model(), (x, y), 1.0, suite=[flips([9])], **QUIET)
    assert (report.clean.correct, report.attacks[0].correct, report.worst.correct) == (6, 5, 5)


def test_costly_attacks_run_on_fewer_images_and_the_worst_case_with_them():
    x, y = helpers.linear_images(12)
    suite = [attacks.FGSM(eps=0.0), attacks.Square(eps=0.0, n_queries=501)]
    report = evaluate(helpers.linear_model(), (x, y), 0.1, suite=suite, n_costly=5, **QUIET)
    assert [accuracy.n for accuracy in report.attacks] == [12, 5]
    assert report.worst.n == 5


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75])
def test_accuracy_under_attack_is_the_share_of_images_farther_from_the_boundary_than_eps(share):
    model = helpers.linear_model()
    x, y = helpers.linear_images(64)
    margin = np.abs((x * helpers.linear_weights(model)).sum((1, 2, 3)))
    distance = margin / np.abs(helpers.linear_weights(model)).sum()
    eps = float(np.quantile(distance, share)) + 1e-4 * (share > 0)
    report = evaluate(model, (x, y), eps, suite=[attacks.FGSM(eps=eps)], **QUIET)
    assert report.worst.correct == (distance > eps).sum()
    assert report.worst.value == pytest.approx(1 - share, abs=0.03)


@pytest.mark.parametrize("correct, n", [(0, 10), (5, 10), (10, 10), (9235, 10000)])
def test_the_wilson_interval_solves_its_defining_equation(correct, n):
    for bound in wilson_interval(correct, n):
        inside = (correct / n - bound) ** 2 - 1.959964**2 * bound * (1 - bound) / n
        assert inside == pytest.approx(0, abs=1e-8) or bound in (0, 1)


@pytest.mark.parametrize("correct, n", [(1, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(correct, n):
    with pytest.raises(ValueError, match="must"):
        wilson_interval(correct, n)


def test_a_report_says_the_same_in_json_and_in_its_table(tmp_path):
    x, y = helpers.linear_images(10)
    report = evaluate(helpers.linear_model(), (x, y), 1.0, suite=[flips([0])], **QUIET)
    report.to_json(tmp_path / "report.json")
    plain = json.loads((tmp_path / "report.json").read_text())
    assert plain["worst"]["accuracy"] == 0.9 and plain["attacks"][0]["n"] == 10
    assert plain["threat"] == "Linf 1 on [0,1]" and plain["is_random"] is False
    assert "90.00%" in str(report) and "worst case" in str(report)


def test_the_basic_suite_keeps_to_the_threat_model_and_adds_transfer_for_a_source():
    threat = ThreatModel(8 / 255)
    names = [attack.name for attack in suites.get("basic", threat, sources=[helpers.linear_model()]).attacks]
    assert names[:4] == ["UniformNoise", "ConstantOffset", f"ConstantOffset{8 / 255:+g}", "FGSM"]
    assert names[4:] == ["PGD-40", "Transfer(PGD-40 from linear0)", "Square-2000"]
    assert {attack.threat for attack in suites.get("basic", threat).attacks} == {threat}
    assert all(attack.norm == 2 for attack in suites.get("basic", ThreatModel(1.0, 2)).attacks)


@pytest.mark.parametrize(
    "eps, step", [(0.3, 0.01), (0.1, 0.1 / 30), (8 / 255, 2 / 255)], ids=["mnist", "small", "cifar10"]
)
def test_pgd_takes_the_papers_steps(eps, step):
    (pgd,) = [attack for attack in suites.get("basic", ThreatModel(eps)).attacks if isinstance(attack, attacks.PGD)]
    assert (pgd.nb_iter, pgd.rand_init) == (40, True) and pgd.eps_iter == pytest.approx(step)


def test_data_may_be_a_name_a_dataset_or_arrays():
    digits = data.load("digits", n=20)

    def victim(x):
        return np.stack([x.mean((1, 2, 3)) - k / 10 for k in range(10)], -1)

    given = ["digits", digits, (digits.pixels(), digits.labels)]
    reports = [evaluate(victim, each, 0.0, suite=[attacks.UniformNoise(eps=0.0)], n=20, **QUIET) for each in given]
    assert len({report.clean.correct for report in reports}) == 1
    assert reports[0].data == "digits (20 images)" and reports[2].data == "given images (20 images)"


def test_accuracy_of_counts_the_right_ones():
    accuracy = Accuracy.of("clean", np.array([True, False, True, True]))
    assert (accuracy.value, accuracy.correct, accuracy.n) == (0.75, 3, 4)
    assert not math.isclose(*accuracy.interval)


def test_bad_evaluations_are_refused():
    x, y = helpers.linear_images(4)
    with pytest.raises(ValueError, match="suite must be one of basic.*did you mean basic"):
        evaluation.evaluate(helpers.linear_model(), (x, y), 0.1, suite="basics", **QUIET)
    with pytest.raises(ValueError, match="eps must be finite and at least 0"):
        evaluation.evaluate(helpers.linear_model(), (x, y), -1, **QUIET)
    with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
        evaluation.evaluate(helpers.linear_model(), (x * 255, y), 0.1, **QUIET)
    with pytest.raises(ValueError, match="n_costly must be an integer"):
        evaluation.evaluate(helpers.linear_model(), (x, y), 0.1, n_costly=0, **QUIET)


# Distances


def test_relative_distance_is_the_mean_of_the_change_over_the_image(rng):
    x, delta = rng.uniform(size=(5, 4, 4, 1)), rng.normal(size=(5, 4, 4, 1))
    l2 = [np.linalg.norm(d) / np.linalg.norm(image) for d, image in zip(delta, x, strict=True)]
    linf = [np.abs(d).max() / image.max() for d, image in zip(delta, x, strict=True)]
    assert evaluation.relative_distance(x, x + delta) == pytest.approx(np.mean(l2))
    assert evaluation.relative_distance(x, x + delta, np.inf) == pytest.approx(np.mean(linf))


def test_fgsm_fools_a_linear_victim_at_its_margin_over_the_weights_sum():
    model, (x, y) = helpers.linear_model(), helpers.linear_images()
    least = evaluation.least_fgsm_eps(model, x, y, largest=0.2)
    exact = np.asarray(losses.margin(y, model(x))) / np.abs(helpers.linear_weights(model)).sum()
    in_box = exact < 0.2
    assert in_box.any() and ((least >= exact) & (least <= exact + 0.2 / 64 + 1e-6))[in_box].all()
    wrong = evaluation.least_fgsm_eps(model, x, 1 - y)
    np.testing.assert_array_equal(wrong, 0)


def test_reference_eps_leaves_half_of_the_images():
    model, (x, y) = helpers.linear_model(), helpers.linear_images(101)
    exact = np.median(np.asarray(losses.margin(y, model(x))) / np.abs(helpers.linear_weights(model)).sum())
    assert evaluation.reference_eps(model, x, y, largest=0.3) == pytest.approx(exact, abs=0.3 / 16 / 64 + 1e-6)
    assert evaluation.reference_eps(model, x, y, largest=exact / 2) == pytest.approx(exact / 2)


def test_perceptual_similarity_falls_as_noise_grows(rng):
    x = rng.uniform(size=(3, 28, 28, 1)).astype("float32")
    noise = rng.normal(size=x.shape).astype("float32")
    similar = [evaluation.perceptual_similarity(x, x + size * noise) for size in (0, 0.05, 0.2)]
    assert similar[0] == 1 and similar[0] > similar[1] > similar[2]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: evaluation.relative_distance(x, x[:1]), "x and x_adv must have the same shape"),
        (lambda x: evaluation.perceptual_similarity(x, x[:1]), "x and x_adv must have the same shape"),
        (lambda x: evaluation.least_fgsm_eps(None, x, None, largest=0), "largest must be above 0"),
        (lambda x: evaluation.reference_eps(None, x, None, largest=0), "largest must be above 0"),
        (
            lambda x: evaluation.reference_eps(helpers.linear_model(), x, 1 - helpers.linear_images(4)[1]),
            "the model must be right on more than half of the clean images",
        ),
    ],
)
def test_bad_distances_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(helpers.linear_images(4)[0])
