"""What a table or figure of a paper is here: rows with the paper's figures, and how ours are measured."""

import dataclasses
from collections.abc import Callable

from tfrobust.reproduce import charts


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a paper's table.

    Args:
        label: what the paper calls it.
        entry: the zoo entry, or the fresh network, that stands for it.
        paper: the paper's figures by column; None where it gives none.
    """

    label: str
    entry: str
    paper: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Item:
    """One table or figure of a paper.

    Args:
        title: paper, table and what it shows.
        data: name of the data set.
        rows: the rows, in the paper's order.
        measure: function `({label: model}, images, labels) -> {label: {column: figure}}`. Columns that no row names are
            left to CSV, JSON and chart. Of fresh networks, which have no card, it may give the worst case too:
            `"worst case": (percent, images)`.
        reading: what the paper leaves open and how it is read here.
        n: test images that it is measured on unless asked otherwise.
        as_percent: whether figures are accuracies, in percent.
        is_trained: whether the rows stand for entries with weights, or for fresh networks.
        chart: function from a `Result` to a `matplotlib` figure, see `charts`.
    """

    title: str
    data: str
    rows: tuple
    measure: Callable
    reading: str = ""
    n: int = 1000
    as_percent: bool = True
    is_trained: bool = True
    chart: Callable = charts.bars

    @property
    def columns(self):
        """The table's columns, in the paper's order."""
        return list(dict.fromkeys(column for row in self.rows for column in row.paper))


def rows(columns, figures):
    """Rows from `(label, entry, figure, …)`; a figure that the paper lacks is None."""
    return tuple(Row(label, entry, dict(zip(columns, values, strict=True))) for label, entry, *values in figures)
