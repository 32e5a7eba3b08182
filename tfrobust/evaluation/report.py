"""The record of an evaluation, as a table and as JSON."""

import dataclasses
import json
import pathlib

from tfrobust import terminal
from tfrobust.evaluation.metrics import Accuracy


@dataclasses.dataclass(frozen=True)
class Report:
    """Clean accuracy, accuracy under each attack, and the worst case per image.

    Attributes:
        model: name of the model.
        data: name of the data set and how many images were taken.
        threat: the threat model as text.
        is_random: whether two passes of the model differ; if so, decisions are majority votes of `judge_passes`.
        eot: gradient passes averaged per attack step.
        clean, attacks, worst: `Accuracy` records. The worst case counts an image as right only if it is right
            clean and under every attack, over the images that every attack was run on.
        seconds: wall time of the whole evaluation.
    """

    model: str
    data: str
    threat: str
    is_random: bool
    judge_passes: int
    eot: int
    clean: Accuracy
    attacks: list[Accuracy]
    worst: Accuracy
    seconds: float

    def to_dict(self):
        """Plain data."""
        data = dataclasses.asdict(self)
        data["clean"], data["worst"] = self.clean.to_dict(), self.worst.to_dict()
        data["attacks"] = [accuracy.to_dict() for accuracy in self.attacks]
        data["seconds"] = round(self.seconds, 1)
        return data

    def to_json(self, path=None):
        """JSON text, also written to `path` if given."""
        text = json.dumps(self.to_dict(), indent=2)
        if path is not None:
            pathlib.Path(path).write_text(text + "\n")
        return text

    def table(self):
        """A `rich` table; `print(report)` shows it too."""
        import rich.table

        kind = f"random, votes of {self.judge_passes}, EOT {self.eot}" if self.is_random else "deterministic"
        table = rich.table.Table(title=f"{self.model} on {self.data}, {self.threat} ({kind})")
        for heading, align in (("images", "left"), ("accuracy", "right"), ("95 % interval", "right")):
            table.add_column(heading, justify=align, no_wrap=True)
        for heading in ("n", "queries", "seconds"):
            table.add_column(heading, justify="right")
        for accuracy in (self.clean, *self.attacks, self.worst):
            style = "bold" if accuracy is self.worst else None
            table.add_row(*row(accuracy), style=style)
        return table

    def __str__(self):
        return terminal.render(self.table())


def row(accuracy):
    """One line of a table as strings: name, accuracy, interval, n, queries, seconds."""
    low, high = accuracy.interval
    queries = f"{accuracy.mean_queries:.0f}" if accuracy.mean_queries else ""
    interval = f"{low:.1%} – {high:.1%}"
    return accuracy.name, f"{accuracy.value:.2%}", interval, str(accuracy.n), queries, f"{accuracy.seconds:.1f}"
