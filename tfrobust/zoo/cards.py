"""Model cards: one typed record per entry, filled by the run that made the weights."""

import dataclasses
import json

from tfrobust import checks
from tfrobust.evaluation.metrics import Accuracy, row
from tfrobust.files import write_atomically
from tfrobust.zoo import manifest

LICENCES = {
    "mnist": "MNIST (Y. LeCun, C. Cortes), CC BY-SA 3.0",
    "digits": "Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak), CC BY 4.0",
    "cifar10": "CIFAR-10 (A. Krizhevsky), no stated licence",
}
LONG = ("attacks", "adaptive", "checks", "training_log")
UNTRAINED, NOT_MEASURED = "untrained", "not measured"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of one entry. `print(card)` shows it as Markdown.

    What is measured is None or empty as long as there is nothing to measure.

    Attributes:
        name, model, data, data_licence, threat, seed: what it is; "" or None where a model's owner did not say.
        recipe: the training settings, as text.
        paper: accuracies that the paper states, by attack name, in percent; `source` says where.
        parameters: number of weights.
        activation_bits, weight_bits: precision of the quantized activations and weights.
        size_bytes, size_ratio: size of the weights at their precision; that over their size in float32.
        macs, macs_by_bits: multiply-accumulates on one image; by bits, `"<weight>x<input>"`.
        clean, attacks: `Accuracy` records measured on the shipped weights, each attack on every image.
        adaptive: `Accuracy` records of the adaptive suite, each attack on the images that still stood.
        worst: the lower worst case per image of the two.
        checks, verdict: what the masking checks found, as `tfrobust.evaluation.Check` records, and what follows.
        is_random, judge_passes, eot: whether the model is random, and how it was judged and attacked then.
        weights_bytes: size of the weight file.
        int8: what exporting to int8 TFLite proved (an `ExportReport` as plain data), or why it was `refused`.
        training_seconds, trained_on: wall time, and what on.
        training_log: one record per epoch on held-out training images.
        versions: software that trained and measured it.
    """

    name: str
    model: str
    data: str
    data_licence: str
    threat: str
    seed: int | None = None
    recipe: str = ""
    paper: dict = dataclasses.field(default_factory=dict)
    parameters: int
    activation_bits: int
    weight_bits: int
    size_bytes: int
    size_ratio: float
    macs: int
    macs_by_bits: dict
    clean: dict | None = None
    attacks: list = dataclasses.field(default_factory=list)
    adaptive: list = dataclasses.field(default_factory=list)
    worst: dict | None = None
    checks: list = dataclasses.field(default_factory=list)
    verdict: str = UNTRAINED
    is_random: bool | None = None
    judge_passes: int | None = None
    eot: int | None = None
    weights_bytes: int | None = None
    int8: dict | None = None
    training_seconds: float | None = None
    trained_on: str = "CPU"
    training_log: list = dataclasses.field(default_factory=list)
    versions: dict = dataclasses.field(default_factory=dict)

    @property
    def is_measured(self):
        """Whether there are figures of ours."""
        return self.clean is not None

    def brief(self):
        """Plain data without single attacks, checks and logs: small enough to travel inside an exported file."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in LONG}

    def accuracies(self):
        """`Accuracy` records: clean, each attack on every image, worst case; none of a model that is not measured."""
        return [_accuracy(record) for record in (self.clean, *self.attacks, self.worst) if record is not None]

    def __str__(self):
        sections = [self._what(), self._figures(), self._adaptive(), self._paper(), self._int8(), self._settings()]
        return "\n".join([f"# {self.name}", *(line for section in sections if section for line in ("", *section)), ""])

    def _what(self):
        by_bits = ", ".join(f"{n:,} of {bits} bit" for bits, n in self.macs_by_bits.items())
        facts = [
            f"{self.parameters:,} parameters; activations {self.activation_bits} bit, weights {self.weight_bits} bit.",
            f"{self.size_bytes / 1024:,.0f} KiB at these bits, {self.size_ratio:.1%} of float32.",
            f"{self.macs:,} multiply-accumulates per image, by weight x input: {by_bits}.",
        ]
        if self.weights_bytes is None:
            facts.append(f"**No trained weights yet**: `python zoo/recipes/{self.name}.py` makes them.")
        elif not self.is_measured:
            facts.append(f"A file of {self.weights_bytes / 1024:,.0f} KiB. **Not measured.**")
        else:
            minutes = f"{self.training_seconds / 60:.0f} minutes on {self.trained_on}"
            facts += [
                f"{self.weights_bytes / 1024:.0f} KiB of float16 weights.",
                f"Trained on {self.data} for {self.threat}, seed {self.seed}, in {minutes}.",
            ]
        return [" ".join(facts)]

    def _figures(self):
        if not self.is_measured:
            return []
        lines = [
            "| test images | paper | measured | 95 % interval | n | queries per image |",
            "|---|---:|---:|---:|---:|---:|",
            *(self._line(accuracy) for accuracy in self.accuracies()),
            "",
            "The paper's numbers are under its own attack. The worst case counts an image as right only if it is "
            "right clean and under every attack listed above, or (where that is lower) under every one of the "
            "adaptive suite.",
        ]
        return lines

    def _line(self, accuracy):
        name, value, interval, n, _, queries, _ = row(accuracy)
        stated = self.paper.get(accuracy.name)
        paper = "" if stated is None else f"{stated:.2f}%"
        style = "**" if accuracy.name == "worst case" else ""
        return f"| {style}{name}{style} | {paper} | {style}{value}{style} | {interval} | {n} | {queries} |"

    def _adaptive(self):
        if not self.is_measured:
            return []
        lines = [
            "## Adaptive suite",
            "",
            "Each attack gets the images that still stand.",
            "",
            "| attack | tried | right after it | of | queries per image |",
            "|---|---:|---:|---:|---:|",
        ]
        for name, value, _, n, tried, queries, _ in (row(_accuracy(record)) for record in self.adaptive):
            lines.append(f"| {name} | {tried} | {value} | {n} | {queries} |")
        lines += ["", f"## Masking checks: {self.verdict}", "", "| check | | what was found |", "|---|---|---|"]
        lines += [f"| {check['name']} | {check['level']} | {check['sentence']} |" for check in self.checks]
        if self.is_random:
            how = f"the majority of {self.judge_passes} passes, and gradients are averaged over {self.eot} passes."
            lines += ["", f"The model is random: a decision is {how}"]
        return lines

    def _paper(self):
        """The paper's figures that stand beside none of ours."""
        shown = {"source", *(accuracy.name for accuracy in self.accuracies())}
        rest = ", ".join(f"{name} {value:.2f}%" for name, value in self.paper.items() if name not in shown)
        return [f"Paper: {self.paper['source']}{': ' if rest else ''}{rest}."] if self.paper else []

    def _int8(self):
        if self.int8 is None:
            return []
        if "refused" in self.int8:
            return [f"No int8 TFLite file: {self.int8['refused']}"]
        return [
            f"As int8 TFLite: {self.int8['bytes'] / 1024:.0f} KiB, same label as Keras on "
            f"{self.int8['label_agreement']:.2%} of {self.int8['n']} images; clean {self.int8['clean']:.2%}, on PGD-40 "
            f"images {self.int8['attacked']:.2%} (Keras {self.int8['attacked_keras']:.2%}), under a short Square "
            f"search on the file {self.int8['square']:.2%} ({self.int8['square_n']} images)."
        ]

    def _settings(self):
        if not self.recipe:
            return []
        lines = [
            "## Settings",
            "",
            f"- training: `{self.recipe}`",
            *(f"- {attack['name']}: `{attack['settings']}`" for attack in self.attacks),
            f"- data: {self.data_licence}",
        ]
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return [*lines, f"- versions: {versions}"] if versions else lines


def _accuracy(record):
    """The `Accuracy` that a record states; its interval is computed anew."""
    names = {field.name for field in dataclasses.fields(Accuracy)}
    return Accuracy(**{key: record[key] for key in names})


def read(name, zoo=None):
    """The card of an entry (or of a model's default entry).

    Raises:
        ValueError: nothing has that name, it has no card, or the record does not have a card's fields.
    """
    path = _path(manifest.resolve(name, zoo).name, zoo)
    checks.require(path.is_file(), "an entry must have its card.", path=path.name)
    return checks.record(Card, json.loads(path.read_text()))


def write(card, zoo=None):
    """Write a card as JSON (the record) and Markdown (for reading)."""
    path = _path(card.name, zoo)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(card), indent=1) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text))
    write_atomically(path.with_suffix(".md"), lambda temporary: temporary.write_text(str(card)))


def _path(name, zoo):
    return manifest.folder(zoo) / "cards" / f"{name}.json"
