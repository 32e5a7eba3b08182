"""`to_tflite`: write the file, run it in the stock interpreter, and say what that proved."""

import dataclasses
import json
import pathlib

from tfrobust import checks, data as datasets, terminal
from tfrobust.export.calibration import typical
from tfrobust.export.convert import INTEGERS, convert
from tfrobust.export.interpreter import TFLiteModel
from tfrobust.export.metadata import with_metadata
from tfrobust.export.verify import MEASUREMENTS, PROOFS, material, measure, prove
from tfrobust.files import write_atomically
from tfrobust.types import Bounds, ThreatModel

CALIBRATION_IMAGES = 500


def to_tflite(
    model,
    path,
    quantize=None,
    *,
    data=None,
    calibration=None,
    eps=None,
    n=1000,
    labels=None,
    card=None,
    verify=False,
    show_progress=None,
):
    """Export a Keras model to a TFLite file of builtin operations, and prove the file.

    The file is written only after it has run. A random model (SQA, stochastic binary weights, MC dropout) keeps its
    randomness through the builtin random operation. The file says what it is, see `metadata`.

    Args:
        model: `keras.Model` from images in [0, 1] to logits.
        path: where to write; must end in `.tflite`.
        quantize: None (float32); `"float16"` weights; `"dynamic"` (int8 weights, float arithmetic); `"int8"` (int8
            weights, arithmetic, input and output); `"int8x16"` (int8 weights, int16 for all else); `"packed"`
            (quantized kernels at their own bits, float arithmetic, the values of the Keras model).
        data: a data set's name (test split), a `Dataset` or `(images, labels)` on which the file is proved; None is
            the data set at hand for the model's input shape.
        calibration: images `[m, height, width, channels]` for the ranges of integers; None takes 500 training images
            of the named data set, or the first 500 of the images given, without those whose activations are more
            than three times as large as usual.
        eps: Linf budget of the attacks; None is the data set's usual one (0.3 for digits, 8/255 for colour).
        n: images compared.
        labels: names of the classes, for the metadata; None takes the named data set's.
        card: plain data for the metadata, e.g. `zoo.card(name).brief()`.
        verify: also measure what takes longer, see `verify`: ZOO on the file, latency, memory.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        An `ExportReport`; print it, or use its fields.

    Raises:
        ValueError: something else than a built model, a path that cannot be written to, an unknown `quantize`, images
            outside [0, 1], labels or a card that do not fit, or operations that TFLite has no builtin for. No file is
            left behind then.

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
    used = material(model, data, n, eps)
    record = _record(model, quantize, used, labels, card)
    if quantize in INTEGERS:
        calibration = _calibration(model, used, isinstance(data, (str, type(None))), calibration)
    content = with_metadata(convert(model, quantize, calibration), record)
    reports = []

    def write_and_prove(temporary):
        temporary.write_bytes(content)
        with terminal.bar("proving the file", PROOFS + MEASUREMENTS * verify, show_progress) as advance:
            report = prove(TFLiteModel(temporary), model, quantize, used, advance)
            device = measure(temporary, model, used, advance) if verify else None
            reports.append(dataclasses.replace(report, path=str(path), device=device))

    write_atomically(path, write_and_prove)
    return reports[0]


def _record(model, quantize, used, labels, card):
    """What the file says of itself."""
    classes = model.output_shape[-1]
    if labels is None:
        usual = datasets.LABELS.get(used.name, ())
        labels = usual if len(usual) == classes else None
    else:
        fits = len(labels) == classes and all(isinstance(label, str) for label in labels)
        checks.require(fits, f"labels must be {classes} names, one per class.", labels=labels)
    record = {
        "model": model.name,
        "quantize": quantize,
        "input": {"shape": list(model.input_shape[1:]), "range": list(Bounds())},
        "labels": None if labels is None else list(labels),
        "threat_model": str(ThreatModel(used.eps)),
        "card": card,
    }
    try:
        json.dumps(record)
    except TypeError as error:
        raise ValueError(f"card must be plain data. Received: card={type(card).__name__} ({error})") from error
    return record


def _calibration(model, used, is_named, images):
    """Images for the ranges of integers: the user's as they are, or our choice."""
    is_given = images is not None
    if not is_given:
        images = datasets.load(used.name, "train", CALIBRATION_IMAGES).pixels() if is_named else used.x
        images = images[:CALIBRATION_IMAGES]
    images = checks.images(images, Bounds(), "calibration images")
    expected = tuple(model.input_shape[1:])
    checks.require(
        images.shape[1:] == expected,
        f"calibration images must have the model's input shape {expected}.",
        shape=images.shape[1:],
    )
    return images if is_given else typical(model, images)
