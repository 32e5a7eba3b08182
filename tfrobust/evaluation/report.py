"""The record of an evaluation, as a table, as JSON and as a page."""

import dataclasses
import json
import pathlib
from typing import NamedTuple

import numpy as np

from tfrobust import terminal
from tfrobust.evaluation.masking import Check
from tfrobust.evaluation.metrics import Accuracy, row

STYLES = {"ok": "green", "warning": "yellow", "masking": "bold red"}


class Example(NamedTuple):
    """An image before and after an attack, `[height, width, channels]` each, its label, and what was decided then."""

    clean: np.ndarray
    adversarial: np.ndarray
    label: int
    decided: int
    attack: str


@dataclasses.dataclass(frozen=True)
class Report:
    """Clean accuracy, accuracy under each attack, the worst case per image, and what the masking checks found.

    Attributes:
        model: name of the model.
        data: name of the data set and how many images were taken.
        threat: the threat model as text.
        eps: its budget, in pixel units.
        suite: name of the suite.
        is_cascade: whether each attack got only the images that stood until then. If so, an attack's accuracy is what
            is left after it and all attacks above it.
        is_complete: whether everything was run; what a time limit left out counts as standing.
        is_random: whether two passes of the model differ; if so, decisions are majority votes of `judge_passes`.
        eot: gradient passes averaged per attack step.
        clean, attacks, worst: `Accuracy` records. The worst case counts an image as right only if it is right
            clean and under every attack within the threat model, over the images that those were run on.
        checks: list of `Check`.
        verdict: `trustworthy`, `suspicious`, `masked`, or `not examined`.
        seconds: wall time of the whole evaluation.
        examples: some `Example` pairs.
    """

    model: str
    data: str
    threat: str
    eps: float
    suite: str
    is_cascade: bool
    is_complete: bool
    is_random: bool
    judge_passes: int
    eot: int
    clean: Accuracy
    attacks: list[Accuracy]
    worst: Accuracy
    checks: list[Check]
    verdict: str
    seconds: float
    examples: list[Example] = dataclasses.field(default_factory=list, repr=False)

    def to_dict(self):
        """Plain data, without the images."""
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del data["examples"]
        data["clean"], data["worst"] = self.clean.to_dict(), self.worst.to_dict()
        data["attacks"] = [accuracy.to_dict() for accuracy in self.attacks]
        data["checks"] = [dataclasses.asdict(check) for check in self.checks]
        data["seconds"] = round(self.seconds, 1)
        return data

    def to_json(self, path=None):
        """JSON text, also written to `path` if given."""
        return _json(self, path)

    def to_html(self, path):
        """Write a page that opens from disk without network."""
        from tfrobust.evaluation import page

        page.write(path, [self])

    def table(self):
        """`rich` tables: accuracies, then the checks; `print(report)` shows them too."""
        import rich.console

        return rich.console.Group(*([self._accuracies(), self._checks()] if self.checks else [self._accuracies()]))

    def _accuracies(self):
        import rich.table

        kind = f"random, votes of {self.judge_passes}, EOT {self.eot}" if self.is_random else "deterministic"
        unfinished = "" if self.is_complete else "; stopped by the time limit"
        title = f"{self.model} on {self.data}, {self.threat}, suite {self.suite} ({kind}{unfinished})"
        table = rich.table.Table(title=title)
        heading = "right so far" if self.is_cascade else "accuracy"
        for title, align in (("images", "left"), (heading, "right"), ("95 % interval", "right")):
            table.add_column(title, justify=align, no_wrap=True)
        for title in ("n", "tried", "queries", "seconds"):
            table.add_column(title, justify="right")
        for accuracy in (self.clean, *self.attacks, self.worst):
            style = "bold" if accuracy is self.worst else None
            table.add_row(*row(accuracy), style=style)
        return table

    def _checks(self):
        import rich.table

        table = rich.table.Table(title=f"Masking checks: {self.verdict}")
        for title in ("check", "", "what was found"):
            table.add_column(title)
        for check in self.checks:
            table.add_row(check.name, f"[{STYLES[check.level]}]{check.level}[/]", check.sentence)
        return table

    def __str__(self):
        return terminal.render(self.table())


@dataclasses.dataclass(frozen=True)
class Curve:
    """Reports of one model over several budgets, smallest first."""

    reports: list[Report]

    def points(self):
        """`(threat, clean, worst)` per budget: the threat as text, and two `Accuracy` records."""
        return [(report.threat, report.clean, report.worst) for report in self.reports]

    def to_dict(self):
        """Plain data."""
        return {"reports": [report.to_dict() for report in self.reports]}

    def to_json(self, path=None):
        """JSON text, also written to `path` if given."""
        return _json(self, path)

    def to_html(self, path):
        """Write a page that opens from disk without network."""
        from tfrobust.evaluation import page

        page.write(path, self.reports)

    def table(self):
        """A `rich` table; `print(curve)` shows it too."""
        import rich.table

        first = self.reports[0]
        table = rich.table.Table(title=f"{first.model} on {first.data}, suite {first.suite}")
        for title in ("threat", "clean", "worst case", "95 % interval", "verdict"):
            table.add_column(title, justify="left" if title in ("threat", "verdict") else "right")
        for report in self.reports:
            low, high = report.worst.interval
            values = f"{report.clean.value:.2%}", f"{report.worst.value:.2%}", f"{low:.1%} – {high:.1%}"
            table.add_row(report.threat, *values, report.verdict)
        return table

    def __str__(self):
        return terminal.render(self.table())


def _json(record, path):
    text = json.dumps(record.to_dict(), indent=2)
    if path is not None:
        pathlib.Path(path).write_text(text + "\n")
    return text
