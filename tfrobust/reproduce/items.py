"""Which tables can be run again: the papers' figures, the zoo entries behind the rows, how they are measured."""

import dataclasses
from collections.abc import Callable

from tfrobust import attacks
from tfrobust.reproduce import measures


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a paper's table.

    Args:
        label: what the paper calls it.
        entry: the zoo entry that stands for it.
        paper: the paper's figures by column.
    """

    label: str
    entry: str
    paper: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Item:
    """One table of a paper.

    Args:
        title: paper, table and what it shows.
        data: name of the data set.
        rows: the rows, in the paper's order.
        measure: function `({label: model}, images, labels) -> {label: {column: figure}}`.
        reading: what the paper leaves open and how it is read here.
        as_percent: whether figures are accuracies, in percent.
        is_trained: whether the rows stand for entries with weights, or for fresh networks.
    """

    title: str
    data: str
    rows: tuple
    measure: Callable
    reading: str = ""
    as_percent: bool = True
    is_trained: bool = True

    @property
    def columns(self):
        """The table's columns, in the paper's order."""
        return list(dict.fromkeys(column for row in self.rows for column in row.paper))


def _rows(columns, figures):
    """Rows from `(label, entry, figure, …)`; a figure that the paper lacks is None."""
    return tuple(
        Row(label, entry, {name: value for name, value in zip(columns, values, strict=True) if value is not None})
        for label, entry, *values in figures
    )


PGD_40 = attacks.PGD(eps=0.3, eps_iter=0.01, nb_iter=40)
DQA_TABLE_1 = Item(
    title="DQA table 1: fixed and dynamic activations under the training's own kind of attack (MNIST, Linf 0.3)",
    data="mnist",
    rows=_rows(
        ("clean", "PGD", "FGSM"),
        [
            ("fixed, 1 bit", "lenet_fixed1.mnist_pgd", 98.52, 98.47, 98.48),
            ("fixed, 2 bits", "lenet_fixed2.mnist_pgd", 98.65, 98.46, 98.59),
            ("fixed, 3 bits", "lenet_fixed3.mnist_pgd", 99.05, 98.37, 98.70),
            ("dynamic, 1 bit", "lenet_dqa1.mnist_pgd", 98.53, 98.53, 97.44),
            ("dynamic, 2 bits", "lenet_dqa2.mnist_pgd", 98.80, 98.75, 98.75),
            ("dynamic, 3 bits", "lenet_dqa3.mnist_pgd", 99.01, 98.51, 97.15),
            ("full precision", "lenet.mnist_pgd", 99.24, 94.04, 97.10),
        ],
    ),
    measure=measures.accuracies({"PGD": PGD_40, "FGSM": attacks.FGSM(eps=0.3)}),
    reading="PGD has 40 steps of 0.01; the paper gives no step.",
)


def _cw(eps):
    return attacks.CarliniWagnerLinf(eps=eps, eps_iter=0.01, nb_iter=40)


SQA_TABLE_1 = Item(
    title="SQA table 1: FGSM training with and without stochastic activations (MNIST)",
    data="mnist",
    rows=_rows(
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
    reading="The paper's attacks differentiate one draw of a random network; the worst case averages 20.",
)

SQA_TABLE_4 = Item(
    title="SQA table 4: seconds of one training iteration (batch 128, fresh networks, this machine)",
    data="mnist",
    rows=_rows(
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

DD_NETWORKS = {"MLP": "mlp", "LeNet": "lenet"}
DD_METHODS = {
    "Reference": "mnist_clean",
    "Parseval": "mnist_parseval",
    "Adv. Train I": "mnist_adv_train_1",
    "Deep Defense": "mnist_deep_defense",
}


def _dd_rows(columns, figures):
    """Rows of a Deep Defense table: for each network its four methods, in the paper's order."""
    labels = [(network, method) for network in DD_NETWORKS for method in DD_METHODS]
    entries = [f"{DD_NETWORKS[network]}.{DD_METHODS[method]}" for network, method in labels]
    rows = [(", ".join(label), entry, *row) for label, entry, row in zip(labels, entries, figures, strict=True)]
    return _rows(columns, rows)


DD_TABLE_1 = Item(
    title="Deep Defense table 1: accuracy, DeepFool distance over image size, accuracy under FGSM (MNIST)",
    data="mnist",
    rows=_dd_rows(
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

DD_SUPPLEMENT_2 = Item(
    title="Deep Defense supplement, table 2: least distances, PGD at 0.1, similarity (MNIST)",
    data="mnist",
    rows=_dd_rows(
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

ITEMS = {
    "dqa/table1": DQA_TABLE_1,
    "sqa/table1": SQA_TABLE_1,
    "sqa/table4": SQA_TABLE_4,
    "dd/table1": DD_TABLE_1,
    "dd/supplement2": DD_SUPPLEMENT_2,
}
