"""Tables of the Deep Defense paper (DD)."""

import itertools

from tfrobust.reproduce import measures
from tfrobust.reproduce.items.base import Item, rows

NETWORKS = {"MLP": "mlp", "LeNet": "lenet"}
METHODS = {
    "Reference": "mnist_clean",
    "Parseval": "mnist_parseval",
    "Adv. Train I": "mnist_adv_train_1",
    "Deep Defense": "mnist_deep_defense",
}


def _rows(columns, figures):
    """Rows of a Deep Defense table: for each network its four methods, in the paper's order."""
    pairs = itertools.product(NETWORKS.items(), METHODS.items())
    methods = [(f"{network}, {method}", f"{model}.{tag}") for (network, model), (method, tag) in pairs]
    return rows(columns, [(*method, *line) for method, line in zip(methods, figures, strict=True)])


TABLE_1 = Item(
    title="Deep Defense table 1: accuracy, DeepFool distance over image size, accuracy under FGSM (MNIST)",
    data="mnist",
    rows=_rows(
        ("clean", "rho_2", "0.2 eps_ref", "0.5 eps_ref", "1.0 eps_ref"),
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
    reading="eps_ref is the budget at which FGSM makes the network's Deep Defense row wrong on half of the images.",
    as_percent=False,
)

SUPPLEMENT_2 = Item(
    title="Deep Defense supplement, table 2: least distances, PGD at 0.1, similarity (MNIST)",
    data="mnist",
    rows=_rows(
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
    measure=measures.deep_defense_distances,
    reading="PASS is the structural similarity of DeepFool's images, not aligned; C&W runs on a tenth of the images; "
    "rho_inf leaves out images that FGSM fools at no budget.",
    as_percent=False,
)
