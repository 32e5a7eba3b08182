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
    """

    title: str
    data: str
    rows: tuple
    measure: Callable
    reading: str = ""
    as_percent: bool = True

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

ITEMS = {"dqa/table1": DQA_TABLE_1, "sqa/table1": SQA_TABLE_1}
