"""Tables and figures of the paper on stochastic quantized activations (SQA)."""

import dataclasses

from tfrobust import attacks
from tfrobust.reproduce import charts, measures
from tfrobust.reproduce.items.base import Item, rows


def _cw(eps):
    return attacks.CarliniWagnerLinf(eps=eps, eps_iter=0.01, nb_iter=40)


ONE_DRAW = "The paper's attacks differentiate one draw of a random network; the worst case averages 20."

TABLE_1 = Item(
    title="SQA table 1: FGSM training with and without stochastic activations (MNIST)",
    data="mnist",
    rows=rows(
        ("clean", "FGSM 0.2", "FGSM 0.3", "C&W 0.2", "C&W 0.3", "PGD 0.2"),
        [
            ("SMALL, full", "cnn_small.mnist_fgsm", 99.40, 98.48, 98.86, 19.43, 0.71, 0.50),
            ("SMALL, SQA", "cnn_small_sqa.mnist_fgsm", 96.61, 89.30, 82.67, 82.39, 57.70, 7.43),
            ("LARGE, full", "cnn_large.mnist_fgsm", 99.25, 98.58, 98.21, 64.21, 19.49, 0.86),
            ("LARGE, SQA", "cnn_large_sqa.mnist_fgsm", 98.64, 95.30, 91.14, 92.75, 83.62, 83.90),
        ],
    ),
    measure=measures.accuracies(
        {
            "FGSM 0.2": attacks.FGSM(eps=0.2, eot=1),
            "FGSM 0.3": attacks.FGSM(eps=0.3, eot=1),
            "C&W 0.2": dataclasses.replace(_cw(0.2), eot=1),
            "C&W 0.3": dataclasses.replace(_cw(0.3), eot=1),
            "PGD 0.2": attacks.PGD(eps=0.2, eps_iter=0.01, nb_iter=40, eot=1),
        }
    ),
    reading=ONE_DRAW,
)

FGSM_4, FGSM_8 = (attacks.FGSM(eps=grey / 255, eot=1) for grey in (4, 8))
CW_4, CW_8 = (attacks.CarliniWagnerLinf(eps=grey / 255, eps_iter=1 / 255, nb_iter=30, eot=1) for grey in (4, 8))
PGD_7 = attacks.PGD(eps=8 / 255, eps_iter=2 / 255, nb_iter=7, eot=1)

TABLE_2 = Item(
    title="SQA table 2: FGSM training with and without stochastic activations (CIFAR-10)",
    data="cifar10",
    rows=rows(
        ("clean", "FGSM 4", "FGSM 8", "C&W 4", "C&W 8", "PGD"),
        [
            ("RES34, full", "resnet34.cifar10_fgsm", 87.07, 46.21, 63.47, 13.50, 8.20, 8.87),
            ("RES34, SQA", "resnet34_sqa.cifar10_fgsm", 81.53, 70.51, 53.45, 66.45, 38.70, 48.32),
            ("RES101, full", "resnet101.cifar10_fgsm", 87.67, 52.44, 78.59, 12.17, 8.09, 7.52),
            ("RES101, SQA", "resnet101_sqa.cifar10_fgsm", 82.94, 73.30, 56.54, 68.40, 41.52, 52.12),
        ],
    ),
    measure=measures.accuracies({"FGSM 4": FGSM_4, "FGSM 8": FGSM_8, "C&W 4": CW_4, "C&W 8": CW_8, "PGD": PGD_7}),
    reading=f"C&W takes 30 steps of 1/255, PGD 7 steps of 2/255. {ONE_DRAW}",
)

TABLE_3 = Item(
    title="SQA table 3: stochastic activations beside PGD training (CIFAR-10, Linf 8/255)",
    data="cifar10",
    rows=rows(
        ("PGD", "C&W 8"),
        [
            ("PGD training", "wide_resnet32_10.cifar10_pgd", 50.0, 46.8),
            ("RES101, SQA", "resnet101_sqa.cifar10_fgsm", 52.1, 41.5),
        ],
    ),
    measure=measures.accuracies({"PGD": PGD_7, "C&W 8": CW_8}),
    reading=f"The rows whose networks are built here. {ONE_DRAW}",
)

TABLE_4 = Item(
    title="SQA table 4: seconds of one training iteration (batch 128, fresh networks, this machine)",
    data="mnist",
    rows=rows(
        ("seconds", "times FGSM's"),
        [
            ("FGSM", "cnn_large", 0.43, 1.0),
            ("SQA + FGSM", "cnn_large_sqa", 0.57, 1.33),
            ("PGD-10", "cnn_large", 1.23, 2.86),
            ("PGD-20", "cnn_large", 2.34, 5.44),
            ("PGD-100", "cnn_large", 10.17, 23.65),
        ],
    ),
    measure=measures.step_seconds(
        {
            "FGSM": attacks.FGSM(eps=0.3),
            "SQA + FGSM": attacks.FGSM(eps=0.3),
            **{f"PGD-{n}": attacks.PGD(eps=0.3, eps_iter=0.01, nb_iter=n) for n in (10, 20, 100)},
        }
    ),
    reading="The paper has ResNet-34 and CIFAR-10 on a graphics card; here it is the LARGE network.",
    as_percent=False,
    is_trained=False,
)

BUDGETS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
PLACES = {"none": None, "layer 1": 1, "layer 2": 2, "layer 3": 3}

FIGURE_1 = Item(
    title="SQA figure 1: accuracy under FGSM over eps, by the layer whose activations are rounded (MNIST)",
    data="mnist",
    rows=rows([f"{eps:g}" for eps in BUDGETS], [(label, "cnn_small", *[None] * len(BUDGETS)) for label in PLACES]),
    measure=measures.rounded_layer(PLACES, BUDGETS),
    reading="The paper gives a picture and not how its networks were trained; here SMALL, with rounding to the nearer "
    "of two values per map, trained for two epochs on clean images. The worst case is that of the basic suite at the "
    "last eps.",
    is_trained=False,
    chart=charts.curves,
)
