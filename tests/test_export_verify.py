"""`export.verify` and `export.benchmark`: what a file does, beside its Keras model and beside other files."""

import helpers
import keras
import numpy as np
import pytest

from tfrobust import architectures, cli, data, export, zoo
from tfrobust.export.convert import QUANTIZE, convert

pytestmark = pytest.mark.tensorflow

ENTRY = "lenet_dqa2.digits_pgd"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An int8 file, its model, and the report of its export."""
    path, model = tmp_path_factory.mktemp("exported") / "m.tflite", zoo.load(ENTRY)
    return path, model, export.to_tflite(model, path, "int8", data="digits", n=60, show_progress=False)


def test_verify_proves_again_what_the_export_proved_and_measures_the_device(exported):
    path, model, report = exported
    again = export.verify(path, model, "digits", n=60, show_progress=False)
    same = ("quantize", "bytes", "label_agreement", "clean", "attacked", "square", "threat", "path", "within_step")
    assert [getattr(again, name) for name in same] == [getattr(report, name) for name in same]
    assert report.device is None and again.device.zoo_n == 5 and 1000 < again.device.zoo_queries < 20_000
    assert list(again.device.milliseconds) == list(again.device.float_milliseconds) == [1, 2]
    assert "1 thread, file / float32" in str(again) and "bytes per weight" in str(again)


def test_a_file_s_pgd_reaches_the_worst_corner_of_a_linear_model(tmp_path):
    model, (x, y), eps = helpers.linear_model(), helpers.linear_images(200), 0.09
    weights = helpers.linear_weights(model)
    margin = np.abs((x * weights).sum((1, 2, 3))) - eps * np.abs(weights).sum()
    assert 0.2 < (margin > 0).mean() < 0.8  # steps of a thirtieth of the budget end short of many corners
    report = export.to_tflite(model, tmp_path / "m.tflite", data=(x, y), eps=eps, n=200, show_progress=False)
    assert report.attacked == report.attacked_keras == pytest.approx((margin > 0).mean())


def test_parity_is_counted_in_steps_of_the_output(exported):
    path, model, report = exported
    x = data.load("digits", n=60).pixels()
    ours, theirs = export.TFLiteModel(path)(x), np.asarray(model(x))
    step = max(export.TFLiteModel(path).step, np.ptp(theirs) / 255)
    assert report.step == pytest.approx(step)
    assert report.within_step == pytest.approx((np.abs(ours - theirs) <= step).mean(), abs=0.01)


@pytest.mark.parametrize("quantize", [None, "packed"])
def test_float_arithmetic_is_within_one_step_everywhere(quantize, tmp_path):
    model = architectures.build("lenet_bnn")
    report = export.to_tflite(model, tmp_path / "m.tflite", quantize, data="digits", n=20, show_progress=False)
    assert report.within_step == 1 and report.label_agreement == 1


def test_a_file_of_another_model_is_refused(exported):
    other = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"must have the model's input shape and classes.*file=\(\(28, 28, 1\), 10\)"):
        export.verify(exported[0], other, "digits", n=5)


def test_benchmark_takes_files_in_turns_and_gives_medians(exported, tmp_path):
    beside = tmp_path / "float.tflite"
    beside.write_bytes(convert(exported[1]))
    speeds = export.benchmark(exported[0], beside, runs=5)
    assert [speed.path for speed in speeds] == [str(exported[0]), str(beside)]
    assert all(0 < taken < 1000 for speed in speeds for taken in speed.milliseconds.values())
    assert all(speed.memory is None or 2**16 < speed.memory < 2**28 for speed in speeds)
    assert speeds[1].bytes == beside.stat().st_size and speeds[0].runs == 5


@pytest.mark.parametrize("paths, runs, message", [((), 5, "at least one file"), (("m.tflite",), 0, "runs must be")])
def test_benchmark_refuses_nothing_to_do(paths, runs, message):
    with pytest.raises(ValueError, match=message):
        export.benchmark(*paths, runs=runs)


def test_the_command_line_exports_verifies_and_benchmarks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--data", "digits", "--n", "10"]
    assert cli.main(["export", ENTRY, "--quantize", "int8", "--verify", *small]) == 0
    assert "run on the file (5 images)" in capsys.readouterr().out
    assert export.metadata(f"{ENTRY}.int8.tflite")["card"]["name"] == ENTRY
    assert cli.main(["benchmark", f"{ENTRY}.int8.tflite", "--runs", "3", "--json"]) == 0
    assert '"milliseconds"' in capsys.readouterr().out


def test_the_command_line_offers_every_mode():
    assert (None, *cli.MODES) == QUANTIZE
