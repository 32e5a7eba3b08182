"""Tables and figure of the paper on quantized networks with dropout at inference (MCD)."""

from tfrobust import attacks
from tfrobust.reproduce import charts, monte_carlo
from tfrobust.reproduce.items.base import Item, rows

N = 500  # the paper's test images
NETWORKS = {
    "Rand BNN, dropout 0.05": "lenet_randbnn_mcd5.mnist_dropout",
    "Rand BNN": "lenet_randbnn.mnist_clean",
    "BNN": "lenet_bnn_mcd.mnist_dropout",
    "2 bits": "lenet_w2_mcd.mnist_dropout",
    "3 bits": "lenet_w3_mcd.mnist_dropout",
    "4 bits": "lenet_w4_mcd.mnist_dropout",
    "full precision": "lenet_mcd.mnist_dropout",
}
FGSM = attacks.FGSM(eps=0.3, eot=1)
JSMA = attacks.JSMA(gamma=0.1, theta=1.0, eot=1)
PGD = attacks.PGD(eps=0.3, eps_iter=0.01, nb_iter=40, eot=1)

ONE_DRAW = "Attacks differentiate one draw of a random network; the worst case averages 20."
SPREAD = (
    "sigma is the variance over images: as a deviation the paper's would not fit its figure 2. Detectors are fitted on "
    "as many other images, held out from training; the attacks know nothing of them. The mixture is the paper's "
    "proposal, which it does not try."
)


def _rows(columns, figures):
    """Rows of one table: a line of figures for each network, in the paper's order."""
    return rows(columns, [(*network, *line) for network, line in zip(NETWORKS.items(), figures, strict=True)])


TABLE_1 = Item(
    title="MC dropout table 1: accuracy of one pass (S) and of 50 (M), clean and under FGSM (MNIST, Linf 0.3)",
    data="mnist",
    rows=_rows(
        ("Clean-S", "Clean-M", "FGSM-S", "FGSM-M"),
        [
            (62.4, 83.2, 45.6, 58.8),
            (82.8, 93.6, 56.4, 76.4),
            (92.0, 97.6, 46.2, 56.2),
            (96.6, 99.2, 64.2, 70.2),
            (96.8, 99.2, 52.0, 55.0),
            (97.6, 99.0, 47.4, 51.6),
            (98.2, 99.4, 45.8, 45.0),
        ],
    ),
    measure=monte_carlo.accuracies({"Clean": None, "FGSM": FGSM}),
    reading=ONE_DRAW,
    n=N,
)

TABLE_2 = Item(
    title="MC dropout table 2: accuracy of one pass (S) and of 50 (M) under JSMA and PGD (MNIST)",
    data="mnist",
    rows=_rows(
        ("JSMA-S", "JSMA-M", "PGD-S", "PGD-M"),
        [
            (12.8, 11.4, 9.8, 5.2),
            (47.0, 68.0, 7.4, 6.6),
            (38.2, 51.4, 11.6, 9.0),
            (32.8, 35.8, 1.6, 1.6),
            (40.4, 44.2, 0.8, 0.8),
            (23.8, 21.4, 3.6, 3.4),
            (32.8, 35.2, 0.6, 0.6),
        ],
    ),
    measure=monte_carlo.accuracies({"JSMA": JSMA, "PGD": PGD}),
    reading=f"{ONE_DRAW} JSMA heads for the likeliest wrong class and stops at any.",
    n=N,
)

TABLE_3 = Item(
    title="MC dropout table 3: uncertainty of 50 passes on clean images and under FGSM, and its detection (MNIST)",
    data="mnist",
    rows=_rows(
        ("clean mu", "clean sigma", "FGSM mu", "FGSM sigma", "FGSM LR", "FGSM mixture"),
        [
            (1.11e-02, 1.23e-05, 1.10e-02, 8.96e-06, 49.7, None),
            (1.08e-02, 7.91e-05, 1.84e-02, 5.75e-05, 71.1, None),
            (5.97e-03, 5.25e-05, 1.12e-02, 6.80e-05, 66.8, None),
            (2.84e-03, 3.68e-05, 1.31e-02, 9.32e-05, 77.6, None),
            (3.08e-03, 4.15e-05, 1.39e-02, 9.36e-05, 78.2, None),
            (2.46e-03, 3.88e-05, 1.51e-02, 1.07e-04, 80.5, None),
            (9.62e-04, 1.42e-05, 1.07e-02, 7.86e-05, 82.4, None),
        ],
    ),
    measure=monte_carlo.detection({"clean": None, "FGSM": FGSM}),
    reading=f"{SPREAD} {ONE_DRAW}",
    n=N,
    as_percent=False,
)

TABLE_4 = Item(
    title="MC dropout table 4: uncertainty of 50 passes under JSMA and PGD, and their detection (MNIST)",
    data="mnist",
    rows=_rows(
        ("JSMA mu", "JSMA sigma", "JSMA LR", "JSMA mixture", "PGD mu", "PGD sigma", "PGD LR", "PGD mixture"),
        [
            (6.51e-04, 3.55e-07, 63.3, None, 2.49e-03, 1.20e-06, 52.4, None),
            (1.65e-02, 1.46e-05, 76.0, None, 1.06e-02, 7.91e-06, 54.2, None),
            (1.80e-02, 5.06e-05, 74.6, None, 1.06e-02, 4.98e-05, 68.3, None),
            (1.82e-02, 8.50e-05, 86.6, None, 1.73e-04, 1.51e-06, 52.9, None),
            (1.97e-02, 1.24e-04, 85.1, None, 2.85e-04, 3.50e-06, 51.5, None),
            (1.97e-02, 1.83e-04, 80.7, None, 4.80e-03, 9.99e-05, 55.9, None),
            (3.17e-02, 1.19e-04, 93.9, None, 6.68e-04, 1.10e-05, 51.4, None),
        ],
    ),
    measure=monte_carlo.detection({"JSMA": JSMA, "PGD": PGD}),
    reading=f"{SPREAD} {ONE_DRAW}",
    n=N,
    as_percent=False,
)

FIGURE_2 = Item(
    title="MC dropout figure 2: how uncertain the networks are about clean and FGSM images (MNIST)",
    data="mnist",
    rows=_rows(
        ("clean mu", "FGSM mu"),
        [
            (1.11e-02, 1.10e-02),
            (1.08e-02, 1.84e-02),
            (5.97e-03, 1.12e-02),
            (2.84e-03, 1.31e-02),
            (3.08e-03, 1.39e-02),
            (2.46e-03, 1.51e-02),
            (9.62e-04, 1.07e-02),
        ],
    ),
    measure=monte_carlo.histograms({"clean": None, "FGSM": FGSM}),
    reading=f"The paper's means are those of its table 3; its bins are a picture, ours are in the CSV. {ONE_DRAW}",
    n=N,
    as_percent=False,
    chart=charts.histograms,
)
