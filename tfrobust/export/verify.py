"""The proof of a file: run beside its Keras model, attacked, timed."""

import dataclasses
import pathlib
import tempfile

import numpy as np

from tfrobust import checks, data as datasets, terminal
from tfrobust.attacks import PGD, ZOO, Square, Victim
from tfrobust.attacks.gradient import pgd_step
from tfrobust.export import flatbuffer
from tfrobust.export.benchmark import benchmark
from tfrobust.export.convert import convert
from tfrobust.export.interpreter import TFLiteModel
from tfrobust.export.metadata import of_file
from tfrobust.export.report import DeviceReport, ExportReport
from tfrobust.types import Bounds

RANDOM_PASSES = 20  # passes averaged where model and file are random
SQUARE_IMAGES, SQUARE_QUERIES = 50, 200
ZOO_IMAGES = 5
ZOO_SEARCH = {"max_iter": 60, "search_steps": 1, "initial_c": 10.0, "learning_rate": 0.1, "delta": 0.1}
PROOFS, MEASUREMENTS = 3, 2  # steps of the progress bar


@dataclasses.dataclass(frozen=True)
class Material:
    """Images, labels and budget on which a file is proved."""

    name: str | None
    x: np.ndarray
    y: np.ndarray
    eps: float


def material(model, data, n, eps):
    """Check and complete what a user gave; None is the data set at hand for the model, and its usual budget."""
    _require_built(model)
    data = datasets.for_shape(model.input_shape[1:]) if data is None else data
    name, x, y = datasets.unpack(data, checks.count(n, "n"))
    x = checks.images(x, Bounds())
    y = checks.labels(y, len(x), model.output_shape[-1])
    eps = datasets.EPS[name or datasets.for_shape(x.shape[1:])] if eps is None else checks.eps(eps)
    return Material(name, x, y, eps)


def _require_built(model):
    is_built = hasattr(model, "output_shape")
    checks.require(is_built, "the model must be a built Keras model.", model=getattr(model, "name", model))


def verify(path, model, data=None, *, eps=None, n=1000, show_progress=None):
    """Prove a TFLite file against the Keras model that it was made from.

    Accuracy is the file's own: on clean images, on PGD images made for the Keras model, and under Square and ZOO run
    on the interpreter. Latency is taken in turns with the float32 file of the same model.

    Args:
        path: the file.
        model: `keras.Model` from images in [0, 1] to logits.
        data: a data set's name (test split), a `Dataset` or `(images, labels)`; None is the data set at hand for the
            model's input shape.
        eps: Linf budget of the attacks; None is the data set's usual one (0.3 for digits, 8/255 for colour).
        n: images compared.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        An `ExportReport` with its `device` part.

    Raises:
        ValueError: a file that is missing, cut short, foreign, or of another shape than the model; something else than
            a built model; images outside [0, 1]; a model that has no float32 file to be timed against.

    Example:
        >>> import os, tempfile
        >>> from tfrobust import architectures
        >>> from tfrobust.export import to_tflite
        >>> path, model = os.path.join(tempfile.mkdtemp(), "model.tflite"), architectures.build("mlp")
        >>> report = to_tflite(model, path, "int8", data="digits", n=5)
        >>> sorted(verify(path, model, "digits", n=5).device.milliseconds)
        [1, 2]

    Reference:
        A. Athalye, N. Carlini, D. Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018, for
        queries as the check on gradients.
    """
    _require_built(model)
    file = TFLiteModel(path)
    ours, theirs = (file.input_shape, file.classes), (tuple(model.input_shape[1:]), model.output_shape[-1])
    checks.require(ours == theirs, "the file must have the model's input shape and classes.", file=ours, model=theirs)
    record = of_file(flatbuffer.read(pathlib.Path(path).read_bytes(), path)) or {}
    used = material(model, data, n, eps)
    with terminal.bar("proving the file", PROOFS + MEASUREMENTS, show_progress) as advance:
        report = prove(file, model, record.get("quantize"), used, advance)
        return dataclasses.replace(report, path=str(path), device=measure(path, model, used, advance))


def prove(file, model, quantize, used, advance):
    """Run a `TFLiteModel` beside the Keras model on clean and attacked images, and Square on the file."""
    victim = Victim(model, used.x[:4], eot=1)
    is_random = not np.array_equal(file(used.x[:4]), file(used.x[:4]))
    passes = RANDOM_PASSES if is_random else 1

    def mean_logits(call, images):
        return sum(np.asarray(call(images)) for _ in range(passes)) / passes

    ours, theirs = mean_logits(file, used.x), mean_logits(victim.logits, used.x)
    advance(1)
    pgd = PGD(eps=used.eps, eps_iter=pgd_step(used.eps), nb_iter=40, eot=1)
    x_adv = pgd(model, used.x, used.y).x_adv
    attacked = [mean_logits(call, x_adv).argmax(-1) for call in (file, victim.logits)]
    advance(1)
    few = slice(0, SQUARE_IMAGES)
    searched = Square(eps=used.eps, n_queries=SQUARE_QUERIES)(file, used.x[few], used.y[few])
    advance(1)
    return ExportReport(
        path=file.name,
        quantize=quantize,
        bytes=file.size,
        bytes_per_weight=file.size / max(1, model.count_params()),
        ops=file.ops,
        n=len(used.x),
        is_random=is_random,
        passes=passes,
        **_parity(ours, theirs, file.step),
        clean=float((ours.argmax(-1) == used.y).mean()),
        clean_keras=float((theirs.argmax(-1) == used.y).mean()),
        attacked=float((attacked[0] == used.y).mean()),
        attacked_keras=float((attacked[1] == used.y).mean()),
        square=float((~searched.success).mean()),
        square_n=len(searched.success),
        square_queries=SQUARE_QUERIES,
        threat=str(pgd.threat),
    )


def _parity(ours, theirs, step):
    """How near the logits of file and model are."""
    difference = np.abs(ours - theirs)
    step = max(step, float(np.ptp(theirs)) / 255)
    return {
        "step": step,
        "within_step": float((difference <= step).mean()),
        "max_logit_difference": float(difference.max()),
        "label_agreement": float((ours.argmax(-1) == theirs.argmax(-1)).mean()),
    }


def measure(path, model, used, advance):
    """ZOO on the file, its latency beside the float32 file's, its memory."""
    few = slice(0, ZOO_IMAGES)
    searched = ZOO(**ZOO_SEARCH)(TFLiteModel(path), used.x[few], used.y[few])
    found = searched.distance[searched.success & (searched.distance > 0)]
    advance(1)
    with tempfile.TemporaryDirectory() as folder:
        beside = pathlib.Path(folder) / "float32.tflite"
        beside.write_bytes(convert(model))
        speed, float_speed = benchmark(path, beside)
    advance(1)
    return DeviceReport(
        zoo=float((~searched.success).mean()),
        zoo_n=len(searched.success),
        zoo_queries=int(searched.queries.max()),
        zoo_distance=float(np.median(found)) if len(found) else None,
        milliseconds=speed.milliseconds,
        float_milliseconds=float_speed.milliseconds,
        memory=speed.memory,
    )
