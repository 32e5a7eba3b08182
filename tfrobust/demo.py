"""The demo: one quantized model from the zoo to a file for a phone, measured at both ends."""

import pathlib

from tfrobust import data as datasets, export, zoo
from tfrobust.attacks import FGSM, PGD, Square, UniformNoise
from tfrobust.attacks.gradient import pgd_step
from tfrobust.evaluation import evaluate
from tfrobust.evaluation.metrics import row

IMAGES, SQUARE_IMAGES = 500, 200


def demo(path="lenet_dqa2.int8.tflite", show_progress=None):
    """Load `lenet_dqa2`, attack it on real digits, export it to int8 TFLite, and measure that file.

    Args:
        path: where the TFLite file goes.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        `(report, exported)`: the `Report` of the model and the `ExportReport` of the file.
    """
    name = datasets.for_shape((28, 28, 1))
    entry = "lenet_dqa2" if name == "mnist" else "lenet_dqa2.digits_pgd"
    model = zoo.load(entry)
    eps = datasets.EPS[name]
    attacks = [
        UniformNoise(eps=eps),
        FGSM(eps=eps),
        PGD(eps=eps, eps_iter=pgd_step(eps), nb_iter=40),
        Square(eps=eps, n_queries=501),
    ]
    settings = {"n": IMAGES, "n_costly": SQUARE_IMAGES, "examine": False, "show_progress": show_progress}
    report = evaluate(model, name, eps, suite=attacks, **settings)
    exported = export.to_tflite(model, pathlib.Path(path), "int8", data=name, n=IMAGES, show_progress=show_progress)
    return report, exported


def table(report, exported):
    """One `rich` table of both."""
    import rich.table

    shown = rich.table.Table(title=f"{report.model} on {report.data}, {report.threat}")
    for heading in ("what", "measured", "95 % interval", "n"):
        shown.add_column(heading)
    for accuracy in (report.clean, *report.attacks, report.worst):
        name, value, interval, n, *_ = row(accuracy)
        shown.add_row(name, value, interval, n)
    shown.add_section()
    for what, value in exported.rows():
        shown.add_row(what, value)
    return shown
