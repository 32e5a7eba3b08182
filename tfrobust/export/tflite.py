"""`to_tflite`: write the file, run it in the stock interpreter, and say what that proved."""

import dataclasses
import pathlib

import numpy as np

from tfrobust import checks, data as datasets, terminal
from tfrobust.attacks import PGD, Square, Victim
from tfrobust.export.convert import convert
from tfrobust.export.interpreter import TFLiteModel
from tfrobust.files import write_atomically
from tfrobust.types import Bounds

CALIBRATION_IMAGES = 500
RANDOM_PASSES = 20  # passes averaged where model and file are random
SQUARE_IMAGES, SQUARE_QUERIES = 50, 200


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What running the exported file showed.

    Attributes:
        path, quantize, bytes: the file, how it was quantized, its size.
        ops: names of its operations, all builtin.
        n: number of clean images compared.
        is_random: whether two runs of the file differ.
        passes: passes whose logits are averaged before comparing (1 unless random).
        max_logit_difference: largest absolute difference of a logit between file and Keras model.
        label_agreement: share of images with the same predicted class.
        clean, clean_keras: accuracy of the file and of the Keras model.
        attacked, attacked_keras: their accuracies on the PGD images made for the Keras model.
        square: accuracy of the file on `square_n` images under a Square search run on the file itself.
        threat: the threat model, as text.
    """

    path: str
    quantize: str | None
    bytes: int
    ops: list[str]
    n: int
    is_random: bool
    passes: int
    max_logit_difference: float
    label_agreement: float
    clean: float
    clean_keras: float
    attacked: float
    attacked_keras: float
    square: float
    square_n: int
    threat: str

    def to_dict(self):
        """Plain data."""
        return dataclasses.asdict(self)

    def rows(self):
        """`(what, value)` pairs as text, for a table."""
        return [
            ("file", f"{self.path} ({self.quantize or 'float32'}, {self.bytes / 1024:.0f} KiB)"),
            ("operations", ", ".join(self.ops)),
            ("randomness", f"kept; {self.passes} passes averaged" if self.is_random else "none"),
            ("largest logit difference", f"{self.max_logit_difference:.4g}"),
            (f"same label as Keras ({self.n} images)", f"{self.label_agreement:.2%}"),
            ("clean accuracy, file / Keras", f"{self.clean:.2%} / {self.clean_keras:.2%}"),
            (f"PGD-40 images, {self.threat}, file / Keras", f"{self.attacked:.2%} / {self.attacked_keras:.2%}"),
            (f"Square-{SQUARE_QUERIES} run on the file ({self.square_n} images)", f"{self.square:.2%}"),
        ]

    def __str__(self):
        return "\n".join(f"{what}: {value}" for what, value in self.rows())


def to_tflite(model, path, quantize=None, *, data=None, calibration=None, eps=None, n=1000, show_progress=None):
    """Export a Keras model to a TFLite file of builtin operations, and prove the file.

    The file is written only after it has run. A random model (SQA, stochastic binary weights, MC dropout) keeps its
    randomness through the builtin random operation.

    Args:
        model: `keras.Model` from images in [0, 1] to logits.
        path: where to write; must end in `.tflite`.
        quantize: None (float32), `"float16"`, `"dynamic"` or `"int8"` (input and output int8 too).
        data: a data set's name (test split), a `Dataset` or `(images, labels)` on which the file is proved; None is
            the data set at hand for the model's input shape.
        calibration: images `[m, height, width, channels]` for int8 ranges; None takes 500 training images of the
            named data set, or the first 500 of the images given.
        eps: Linf budget of the attacks; None is the data set's usual one (0.3 for digits, 8/255 for colour).
        n: images compared.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        An `ExportReport`; print it, or use its fields.

    Raises:
        ValueError: a path that cannot be written to, an unknown `quantize`, images outside [0, 1], or operations
            that TFLite has no builtin for. No file is left behind then.

    Example:
        >>> import os, tempfile
        >>> from tfrobust import architectures
        >>> path = os.path.join(tempfile.mkdtemp(), "model.tflite")
        >>> report = to_tflite(architectures.build("mlp"), path, data="digits", n=20)
        >>> report.label_agreement
        1.0

    Reference:
        B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", CVPR 2018.
    """
    path = pathlib.Path(path)
    checks.require(path.suffix == ".tflite", "the path must end in .tflite.", path=str(path))
    checks.require(path.parent.is_dir(), "the path must be in a folder that exists.", path=str(path))
    checks.count(n, "n")
    data = datasets.for_shape(model.input_shape[1:]) if data is None else data
    name, x, y = datasets.unpack(data, n)
    x = checks.images(x, Bounds())
    y = checks.labels(y, len(x), model.output_shape[-1])
    eps = _usual_eps(name, x) if eps is None else checks.eps(eps)
    if quantize == "int8" and calibration is None:
        named = isinstance(data, str)
        calibration = datasets.load(name, "train", CALIBRATION_IMAGES).pixels() if named else x[:CALIBRATION_IMAGES]
    if calibration is not None:
        calibration = checks.images(calibration, Bounds(), "calibration images")
    content = convert(model, quantize, calibration)
    reports = []

    def write_and_prove(temporary):
        temporary.write_bytes(content)
        with terminal.bar("proving the file", 3, show_progress) as advance:
            reports.append(_prove(model, temporary, path, quantize, x, y, eps, advance))

    write_atomically(path, write_and_prove)
    return reports[0]


def _prove(model, file, path, quantize, x, y, eps, advance):
    """Run the file beside the Keras model on clean and attacked images."""
    exported = TFLiteModel(file)
    victim = Victim(model, x[:4], eot=1)
    is_random = not np.array_equal(exported(x[:4]), exported(x[:4]))
    passes = RANDOM_PASSES if is_random else 1

    def mean_logits(call, images):
        return sum(np.asarray(call(images)) for _ in range(passes)) / passes

    ours, theirs = mean_logits(exported, x), mean_logits(victim.logits, x)
    advance(1)
    pgd = PGD(eps=eps, eps_iter=eps / 30, nb_iter=40, eot=1)
    x_adv = pgd(model, x, y).x_adv
    attacked = mean_logits(exported, x_adv).argmax(-1), mean_logits(victim.logits, x_adv).argmax(-1)
    advance(1)
    few = slice(0, SQUARE_IMAGES)
    searched = Square(eps=eps, n_queries=SQUARE_QUERIES)(exported, x[few], y[few])
    advance(1)
    return ExportReport(
        path=str(path),
        quantize=quantize,
        bytes=exported.size,
        ops=exported.ops,
        n=len(x),
        is_random=is_random,
        passes=passes,
        max_logit_difference=float(np.abs(ours - theirs).max()),
        label_agreement=float((ours.argmax(-1) == theirs.argmax(-1)).mean()),
        clean=float((ours.argmax(-1) == y).mean()),
        clean_keras=float((theirs.argmax(-1) == y).mean()),
        attacked=float((attacked[0] == y).mean()),
        attacked_keras=float((attacked[1] == y).mean()),
        square=float((~searched.success).mean()),
        square_n=len(searched.success),
        threat=str(pgd.threat),
    )


def _usual_eps(name, x):
    """The budget that the field reports for these images."""
    return datasets.EPS[name or datasets.for_shape(x.shape[1:])]
