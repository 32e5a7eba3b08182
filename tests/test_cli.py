"""The command line: each command on real digits, JSON, and one clear line with exit code 2 for bad input."""

import json
import pathlib
import shutil
import subprocess
import sys

import keras
import pytest

from tfrobust import cli, data

pytestmark = pytest.mark.tensorflow

ENTRY = "lenet_dqa2.digits_pgd"


def test_list_prints_every_entry_as_a_table_and_as_json(capsys):
    assert cli.main(["list", "--data", "digits"]) == 0
    assert ENTRY in capsys.readouterr().out
    assert cli.main(["list", "--json"]) == 0
    listed = [card["name"] for card in json.loads(capsys.readouterr().out)]
    assert ENTRY in listed and "resnet18_w1a2.cifar10_clean" in listed
    assert cli.main(["list", "--trained", "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert len(trained) < len(listed) and all(card["weights_bytes"] for card in trained)


def test_card_prints_the_figures(capsys):
    assert cli.main(["card", ENTRY]) == 0
    assert "worst case" in capsys.readouterr().out
    assert cli.main(["card", ENTRY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == ENTRY


def test_train_writes_a_model_that_evaluate_and_export_take(tmp_path, capsys):
    model, file = str(tmp_path / "mine.keras"), tmp_path / "mine.tflite"
    training = [
        "--data",
        "digits",
        "--n",
        "200",
        "--epochs",
        "2",
        "--defense",
        "fgsm",
        "--folder",
        str(tmp_path / "run"),
    ]
    assert cli.main(["train", "mlp_dqa2", "--out", model, *training]) == 0
    assert "epoch 2" in capsys.readouterr().out
    assert keras.models.load_model(model).name == "mlp_dqa2"
    assert (
        cli.main(["evaluate", model, "--data", "digits", "--eps", "0.1", "--n", "20", "--n-costly", "4", "--json"]) == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert report["threat"] == "Linf 0.1 on [0,1]" and report["clean"]["n"] == 20 and report["suite"] == "adaptive"
    assert cli.main(["export", model, str(file), "--data", "digits", "--n", "20", "--quantize", "int8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == file.stat().st_size


def test_evaluate_draws_a_curve_keeps_its_state_and_writes_a_page(tmp_path, capsys):
    page, state = tmp_path / "curve.html", tmp_path / "run.npz"
    files = ["--html", str(page), "--state", str(state), "--time-limit", "60", "--transfer-from", ENTRY]
    settings = ["--data", "digits", "--eps", "0.05", "0.1", "--n", "4", "--suite", "paper", "--norm", "inf"]
    assert cli.main(["evaluate", ENTRY, *settings, *files, "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert [report["eps"] for report in reports] == [0.05, 0.1]
    assert "Accuracy against eps" in page.read_text()
    assert sorted(path.name for path in tmp_path.glob("run*")) == ["run.npz.eps0.05", "run.npz.eps0.1"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["card", "lenet_dqa22"], "did you mean lenet_dqa2"),
        (["evaluate", "lenet_dqa2", "--data", "digits", "--eps", "-1"], "eps must be finite and at least 0"),
        (
            ["evaluate", "lenet_dqa2", "--data", "cifar10", "--n", "2"],
            "images must have the model's input shape|not found",
        ),
        (["evaluate", "lenet_dqa2", "--suite", "basics", "--data", "digits"], "suite must be one of basic"),
        (["evaluate", "missing.keras"], "the model file must exist"),
        (
            ["evaluate", "resnet18_w1a2"],
            "no trained weights yet: run its recipe, zoo/recipes/resnet18_w1a2.cifar10_clean.py",
        ),
        (["train", "lenet_dqa9", "--data", "digits", "--out", "m.keras"], "bits must be an integer from 1 to 8"),
        (["train", "lenet", "--out", "m.h5"], "--out must end in .keras"),
        (["export", ENTRY, "model.bin", "--data", "digits"], "the path must end in .tflite"),
    ],
)
def test_bad_input_is_one_line_on_standard_error_and_exit_code_2(arguments, message, capsys):
    import re

    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err) and captured.err.startswith("tfrobust: ")
    assert captured.err.count("\n") == 1 and captured.out == ""


def test_an_unknown_command_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["atack"])
    assert exit_.value.code == 2 and "atack" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_runs_from_the_shell_without_a_data_set_at_hand(tmp_path):
    command = [shutil.which("tfrobust", path=str(pathlib.Path(sys.executable).parent)), "demo", "--json"]
    environment = {"PATH": "/usr/bin:/bin", "TFDS_DATA_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["model"]["data"] == "digits (360 images)"
    names = [attack["name"] for attack in shown["model"]["attacks"]]
    assert names == ["UniformNoise", "FGSM", "PGD-40", "Square-501"]
    assert shown["file"]["label_agreement"] >= 0.98 and (tmp_path / "lenet_dqa2.int8.tflite").exists()


def test_a_missing_data_set_says_what_to_set(tmp_path):
    with pytest.raises(ValueError, match="mnist was not found: set TFDS_DATA_DIR"):
        data.load("mnist", data_dir=tmp_path)
