"""README and notebooks: short, current, and runnable as they stand."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from tfrobust import architectures, data, export, zoo
from tfrobust.export.convert import QUANTIZE, convert

pytestmark = pytest.mark.tensorflow

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text()
ON_DEVICE = (ROOT / "docs" / "on_device.md").read_text()
TFMOT = (ROOT / "docs" / "tfmot.md").read_text()


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_there_is_a_notebook():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_thin_and_defines_nothing(path):
    lines = "\n".join(code_cells(path)).splitlines()
    assert len(lines) <= 60
    assert not [line for line in lines if re.match(r"\s*(def|class) ", line)]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for cell in code_cells(path):
        exec(cell, namespace)
    assert namespace["exported"].label_agreement > 0.95


def test_the_readme_s_table_is_the_one_that_the_cards_give():
    (shown,) = re.findall(r"<!-- zoo.*?-->\n(.*?)\n<!-- /zoo -->", README, re.S)
    assert shown == zoo.list_models().markdown()


def test_the_readme_names_only_entries_attributes_and_files_that_exist():
    import tfrobust

    for dotted in set(re.findall(r"tfrobust\.(\w+)\.(\w+)\(", README)):
        assert hasattr(getattr(tfrobust, dotted[0]), dotted[1]), dotted
    for path in re.findall(r"`(tfrobust/\w+|zoo/\w+|tests/\w+\.py)`", README):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
def test_the_readme_s_own_model_trains_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", README, re.S) if "Sequential" in text]
    exec(block.replace("epochs=5", "epochs=1"), namespace := {})
    assert (tmp_path / "runs" / "mine" / "checkpoint.npz").exists() and namespace["mine"].built


def test_the_readme_s_adaptive_attacks_run_as_written(capsys):
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", README, re.S) if "BPDA" in text]
    exec(block, {})
    assert "PGD-40 (EOT 2) (BPDA soft)" in capsys.readouterr().out


@pytest.mark.slow
def test_the_readme_s_quantized_mobile_net_runs_as_written(capsys):
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", README, re.S) if "MobileNetV2" in text]
    exec(block, namespace := {})
    assert "converted" in capsys.readouterr().out and namespace["small"].output_shape == (None, 10)


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_the_python_of_on_device_needs_only_litert_and_numpy_and_gives_the_file_s_logits(quantize, tmp_path):
    path = tmp_path / "lenet_dqa2.int8.tflite"
    calibration = data.load("digits", "train", 20).pixels()
    path.write_bytes(convert(architectures.build("lenet_dqa2"), quantize, calibration))
    (block,) = re.findall(r"```python\n(.*?)```", ON_DEVICE, re.S)
    code = f"{block}\nimport sys\nassert not {{'tensorflow', 'keras', 'tfrobust'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = np.array(re.findall(r"-?\d+\.\d*(?:e-?\d+)?", done.stdout), "float32")
    expected = export.TFLiteModel(path)(np.zeros((1, 28, 28, 1)))[0]
    np.testing.assert_allclose(shown, expected, atol=1e-5)


MAIN = """
#include <cstdio>
int main(int, char** argv) {
  std::vector<float> pixels(28 * 28);
  while (std::fread(pixels.data(), sizeof(float), pixels.size(), stdin) == pixels.size()) {
    for (const float logit : Logits(argv[1], pixels)) std::printf("%.9g ", logit);
    std::puts("");
  }
}
"""


@pytest.fixture(scope="module")
def on_device_in_cpp(tmp_path_factory):
    """The C++ of the document as a program: images on stdin, a file as argument, a row of logits for each."""
    (block,) = re.findall(r"```cpp\n(.*?)```", ON_DEVICE, re.S)
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "has.cc").write_text(
        '#include "tensorflow/lite/c/c_api.h"\nint main() { return TfLiteVersion() == nullptr; }'
    )
    (folder / "main.cc").write_text(block + MAIN)
    compiler = [shutil.which("g++") or "false", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", folder / "program"]
    if subprocess.run([*compiler, folder / "has.cc", "-ltensorflowlite_c"], capture_output=True).returncode:
        pytest.skip("needs g++ and TensorFlow Lite's C library in CPATH and LIBRARY_PATH (docs/on_device.md says how)")
    subprocess.run([*compiler, folder / "main.cc", "-ltensorflowlite_c"], check=True)
    return folder / "program"


def all_convolutional():
    """A network without dense layers: old runtimes compute those of int8 files wrongly."""
    parts = [keras.layers.Conv2D(8, 5, 3, activation="relu"), keras.layers.Conv2D(10, 8), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((28, 28, 1)), *parts])


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_the_cpp_of_on_device_gives_the_file_s_logits(quantize, on_device_in_cpp, tmp_path):
    path, x = tmp_path / "model.tflite", data.load("digits", n=20).pixels()
    calibration = data.load("digits", "train", 20).pixels()
    model = architectures.build("lenet_dqa2") if quantize is None else all_convolutional()
    path.write_bytes(convert(model, quantize, calibration))
    done = subprocess.run([on_device_in_cpp, path], input=x.tobytes(), capture_output=True, check=True)
    file = export.TFLiteModel(path)
    np.testing.assert_allclose(np.loadtxt(done.stdout.decode().splitlines()), file(x), atol=1e-4 + 1.01 * file.step)


def test_the_cpp_of_on_device_gives_nothing_for_a_file_cut_short(on_device_in_cpp, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(convert(architectures.build("mlp"))[:1000])
    images = np.zeros((1, 28, 28, 1), "float32").tobytes()
    assert not subprocess.run([on_device_in_cpp, path], input=images, capture_output=True, check=True).stdout.split()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # tf_keras's and tfmot's own
@pytest.mark.parametrize("number", range(3))
def test_the_examples_of_tfmot_run_as_they_stand(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TFMOT, re.S)
    assert len(blocks) == 3
    exec(blocks[number], {})
    (path,) = tmp_path.glob("*.tflite")
    test = data.load("digits", n=100)
    assert (export.TFLiteModel(path)(test.pixels()).argmax(-1) == test.labels).mean() > 0.7


def test_on_device_lists_every_mode():
    assert re.findall(r"^\| `(\w+)` \|", ON_DEVICE, re.M) == list(QUANTIZE[1:])
