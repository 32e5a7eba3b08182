"""Tables of the Deep Defense paper (DD)."""

import itertools

from tfrobust.reproduce import measures
from tfrobust.reproduce.items.base import Item, rows

MNIST = "mnist", {"MLP": "mlp", "LeNet": "lenet"}
CIFAR10 = "cifar10", {"ConvNet": "convnet", "NIN": "nin"}
METHODS = {
    "Reference": "clean",
    "Parseval": "parseval",
    "Adv. Train I": "adv_train_1",
    "Deep Defense": "deep_defense",
}


def _rows(networks, columns, figures):
    """Rows of a Deep Defense table: for each network its four methods, in the paper's order."""
    data, named = networks
    pairs = itertools.product(named.items(), METHODS.items())
    methods = [(f"{network}, {method}", f"{model}.{data}_{tag}") for (network, model), (method, tag) in pairs]
    return rows(columns, [(*method, *line) for method, line in zip(methods, figures, strict=True)])


TABLE_1_COLUMNS = ("clean", "rho_2", "0.2 eps_ref", "0.5 eps_ref", "1.0 eps_ref")
EPS_REF = "eps_ref is the budget at which FGSM makes the network's Deep Defense row wrong on half of the images."
HOW = (
    "PASS is the structural similarity of DeepFool's images, not aligned; C&W runs on a tenth of the images; "
    "rho_inf leaves out images that FGSM fools at no budget."
)
SIZES = (
    "Sizes are of pixels in [0, 1]; the paper's L2 over its rho_2 is a fourth of that, so compare rows, not figures."
)

TABLE_1 = Item(
    title="Deep Defense table 1: accuracy, DeepFool distance over image size, accuracy under FGSM (MNIST)",
    data="mnist",
    rows=_rows(
        MNIST,
        TABLE_1_COLUMNS,
        [
            (98.31, 0.111, 72.76, 29.08, 3.31),
            (98.32, 0.111, 77.44, 28.95, 2.96),
            (98.49, 0.162, 87.70, 59.69, 22.55),
            (98.65, 0.225, 95.04, 88.93, 50.00),
            (99.02, 0.205, 90.95, 53.88, 19.75),
            (99.10, 0.203, 91.68, 66.48, 19.64),
            (99.18, 0.263, 95.20, 74.82, 41.40),
            (99.34, 0.284, 96.51, 88.93, 50.00),
        ],
    ),
    measure=measures.deep_defense,
    reading=EPS_REF,
    as_percent=False,
)

TABLE_1_CIFAR10 = Item(
    title="Deep Defense table 1: accuracy, DeepFool distance over image size, accuracy under FGSM (CIFAR-10)",
    data="cifar10",
    rows=_rows(
        CIFAR10,
        TABLE_1_COLUMNS,
        [
            (79.74, 0.0259, 61.62, 37.84, 23.85),
            (80.48, 0.0342, 69.19, 50.43, 22.13),
            (80.65, 0.0305, 65.16, 45.03, 35.53),
            (81.70, 0.0532, 72.15, 59.02, 50.00),
            (89.64, 0.0420, 75.61, 49.22, 33.56),
            (88.20, 0.0433, 75.39, 49.75, 17.74),
            (89.87, 0.0525, 78.87, 58.85, 45.90),
            (89.96, 0.0558, 80.70, 70.73, 50.00),
        ],
    ),
    measure=measures.deep_defense,
    reading=f"{EPS_REF} {SIZES}",
    as_percent=False,
)

SUPPLEMENT_2 = Item(
    title="Deep Defense supplement, table 2: least distances, PGD at 0.1, similarity (MNIST)",
    data="mnist",
    rows=_rows(
        MNIST,
        ("L2 DeepFool", "rho_inf FGSM", "L2 C&W", "PGD 0.1", "PASS"),
        [
            (0.81, 0.0540, 0.84, 1.19, 0.8534),
            (0.80, 0.0578, 0.83, 1.18, 0.8542),
            (1.17, 0.0946, 1.17, 4.11, 0.8280),
            (1.64, 0.153, 1.58, 33.18, 0.8181),
            (1.48, 0.129, 1.40, 26.17, 0.9074),
            (1.50, 0.150, 1.58, 23.06, 0.8981),
            (1.90, 0.205, 1.71, 50.67, 0.8810),
            (2.05, 0.236, 1.84, 64.54, 0.8760),
        ],
    ),
    measure=measures.deep_defense_distances(eps=0.1),
    reading=HOW,
    as_percent=False,
)

SUPPLEMENT_2_CIFAR10 = Item(
    title="Deep Defense supplement, table 2: least distances, PGD at 0.01, similarity (CIFAR-10)",
    data="cifar10",
    rows=_rows(
        CIFAR10,
        ("L2 DeepFool", "rho_inf FGSM", "L2 C&W", "PGD 0.01", "PASS"),
        [
            (0.18, 0.00527, 0.29, 21.34, None),
            (0.24, 0.00802, 0.33, 27.91, None),
            (0.21, 0.00637, 0.31, 27.08, None),
            (0.36, 0.0158, 0.47, 45.05, None),
            (0.30, 0.0105, 0.41, 34.41, None),
            (0.31, 0.0107, 0.41, 36.59, None),
            (0.37, 0.0176, 0.48, 45.51, None),
            (0.40, 0.0215, 0.50, 51.07, None),
        ],
    ),
    measure=measures.deep_defense_distances(eps=0.01),
    reading=f"{HOW} {SIZES}",
    as_percent=False,
)
