"""Running a table or figure again, and what comes out: a table for the terminal, CSV, Markdown, a chart."""

import csv
import dataclasses
import pathlib

import keras

from tfrobust import checks, data as datasets, files, terminal, zoo
from tfrobust.reproduce.items import ITEMS, Item

MISSING = "no weights yet"
WORST = "worst case"
SEED = 0  # of fresh weights and of random layers, so that a table comes out the same again


@dataclasses.dataclass(frozen=True)
class Result:
    """A table or figure of a paper, measured again.

    Attributes:
        name: `paper/item`.
        item: the `Item`.
        n: images it was measured on.
        measured: `{label: {column: figure}}`, without the rows that have no weights.
        worst: `{label: (accuracy in percent, its number of images)}`, from the cards; of fresh networks as measured.
    """

    name: str
    item: Item
    n: int
    measured: dict
    worst: dict

    def rows(self):
        """Lines of text: label, entry, `paper / ours` for each column, worst case."""
        for row in self.item.rows:
            ours = self.measured.get(row.label, {})
            pairs = [(row.paper.get(column), ours.get(column)) for column in self.item.columns]
            cells = [" / ".join(self._number(value) for value in pair) for pair in pairs]
            missing = "" if ours else MISSING
            worst = "{:.1f} ({:,})".format(*self.worst[row.label]) if row.label in self.worst else missing
            yield row.label, row.entry, *cells, worst

    def _number(self, value):
        return "–" if value is None else f"{value:.1f}" if self.item.as_percent else f"{value:.3g}"

    @property
    def headings(self):
        """Headings of `rows`."""
        return ("row", "entry", *self.item.columns, f"{WORST} (n)")

    def table(self):
        """A `rich` table."""
        import rich.table

        title = f"{self.item.title}; paper / ours on {self.n:,} images"
        headings = [rich.table.Column(heading, overflow="fold") for heading in self.headings]
        table = rich.table.Table(*headings, title=title, caption=self.item.reading or None)
        for row in self.rows():
            table.add_row(*row)
        return table

    def markdown(self):
        """The table as Markdown."""
        lines = [f"| {' | '.join(self.headings)} |", f"|---|---|{'---:|' * (len(self.headings) - 2)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows()]
        notes = f"Paper / ours on {self.n:,} images. {self.item.reading}".strip()
        return "\n".join([f"# {self.item.title}", "", *lines, "", notes, ""])

    def write(self, folder):
        """Write `<paper>_<item>.csv`, `.md` and `.png` into `folder`; return the three paths."""
        stem = pathlib.Path(folder) / self.name.replace("/", "_")
        written = {".csv": self._write_csv, ".md": self._write_markdown, ".png": self._write_chart}
        paths = [stem.with_suffix(suffix) for suffix in written]
        for path, write in zip(paths, written.values(), strict=True):
            files.write_atomically(path, write)
        return paths

    def _write_csv(self, path):
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "entry", "column", "paper", "ours", "n", WORST, f"{WORST} n"])
            for row in self.item.rows:
                ours, worst = self.measured.get(row.label, {}), self.worst.get(row.label, ("", ""))
                for column in dict.fromkeys([*self.item.columns, *ours]):
                    figures = row.paper.get(column), ours.get(column)
                    writer.writerow([row.label, row.entry, column, *figures, self.n, *worst])

    def _write_markdown(self, path):
        pathlib.Path(path).write_text(self.markdown(), encoding="utf-8")

    def _write_chart(self, path):
        self.item.chart(self).savefig(path, format="png", dpi=120)

    def to_dict(self):
        """Plain data for JSON."""
        rows = [
            {**dataclasses.asdict(row), "ours": self.measured.get(row.label), "worst": self.worst.get(row.label)}
            for row in self.item.rows
        ]
        return {"name": self.name, "title": self.item.title, "n": self.n, "reading": self.item.reading, "rows": rows}

    def __str__(self):
        return terminal.render(self.table())


def run(name, n=None):
    """Measure a table or figure of a paper again, on the zoo entries that stand for its rows.

    The worst case is the one on each entry's card (the adaptive suite, on the number of images that stands beside it).

    Args:
        name: `paper/item`, a key of `ITEMS`.
        n: number of test images; None is the item's own.

    Returns:
        A `Result`; rows whose entry has no weights yet stay empty.

    Raises:
        ValueError: an unknown name, `n` below 1, or data that is not there.

    Example:
        >>> "dqa/table1" in ITEMS
        True

    Reference:
        The item's title names the paper.
    """
    item = ITEMS[checks.one_of(name, "item", ITEMS)]
    test = datasets.load(item.data, "test", item.n if n is None else n)
    available = {card.name: card for card in zoo.list_models(item.data, trained=True)} if item.is_trained else {}
    models = {row.label: _network(row, item) for row in item.rows if row.entry in available or not item.is_trained}
    measured = item.measure(models, test.pixels(), test.labels)
    worst = {label: figures.pop(WORST) for label, figures in measured.items() if WORST in figures}
    worst |= {row.label: _worst(available[row.entry]) for row in item.rows if row.entry in available}
    return Result(name, item, len(test), measured, worst)


def _network(row, item):
    keras.utils.set_random_seed(SEED)
    return zoo.load(row.entry, "default" if item.is_trained else None)


def _worst(card):
    worst = next(accuracy for accuracy in card.accuracies() if accuracy.name == WORST)
    return 100 * worst.value, worst.n
