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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of one entry. `print(card)` shows it as Markdown.

    Attributes:
        name, model, data, data_licence, threat, seed: what it is.
        recipe: the training settings, as text.
        paper: accuracies that the paper states, by attack name, in percent; `source` says where.
        clean, attacks: `Accuracy` records measured on the shipped weights, each attack on every image.
        adaptive: `Accuracy` records of the adaptive suite, each attack on the images that still stood.
        worst: the lower worst case per image of the two.
        checks, verdict: what the masking checks found, as `tfrobust.evaluation.Check` records, and what follows.
        is_random, judge_passes, eot: whether the model is random, and how it was judged and attacked then.
        parameters: number of weights.
        activation_bits, weight_bits: precision of the quantized activations and weights.
        weights_bytes: size of the weight file (float16, compressed).
        int8: what exporting to int8 TFLite proved (an `ExportReport` as plain data).
        training_seconds, training_log: wall time, and one record per epoch on held-out training images.
        versions: software that trained and measured it.
    """

    name: str
    model: str
    data: str
    data_licence: str
    threat: str
    seed: int
    recipe: str
    paper: dict
    clean: dict
    attacks: list
    adaptive: list
    worst: dict
    checks: list
    verdict: str
    is_random: bool
    judge_passes: int
    eot: int
    parameters: int
    activation_bits: int
    weight_bits: int
    weights_bytes: int
    int8: dict
    training_seconds: float
    training_log: list
    versions: dict

    def accuracies(self):
        """`Accuracy` records: clean, each attack on every image, worst case."""
        return [_accuracy(record) for record in (self.clean, *self.attacks, self.worst)]

    def __str__(self):
        lines = [
            f"# {self.name}",
            "",
            f"{self.parameters:,} parameters; activations {self.activation_bits} bit, weights {self.weight_bits} bit; "
            f"{self.weights_bytes / 1024:.0f} KiB of float16 weights. Trained on {self.data} for {self.threat}, "
            f"seed {self.seed}, in {self.training_seconds / 60:.0f} minutes on CPU.",
            "",
            "| test images | paper | measured | 95 % interval | n | queries per image |",
            "|---|---:|---:|---:|---:|---:|",
            *(self._line(accuracy) for accuracy in self.accuracies()),
            "",
            "The paper's numbers are under its own attack. The worst case counts an image as right only if it is "
            "right clean and under every attack listed above, or (where that is lower) under every one of the "
            "adaptive suite.",
            *self._adaptive_lines(),
        ]
        if self.is_random:
            lines += [
                "",
                f"The model is random: a decision is the majority of {self.judge_passes} passes, and gradients are "
                f"averaged over {self.eot} passes.",
            ]
        if self.paper:
            lines += ["", f"Paper: {self.paper['source']}."]
        lines += [
            "",
            f"As int8 TFLite: {self.int8['bytes'] / 1024:.0f} KiB, same label as Keras on "
            f"{self.int8['label_agreement']:.2%} of {self.int8['n']} images; clean {self.int8['clean']:.2%}, on PGD-40 "
            f"images {self.int8['attacked']:.2%} (Keras {self.int8['attacked_keras']:.2%}), under a short Square "
            f"search on the file {self.int8['square']:.2%} ({self.int8['square_n']} images).",
            "",
            "## Settings",
            "",
            f"- training: `{self.recipe}`",
            *(f"- {attack['name']}: `{attack['settings']}`" for attack in self.attacks),
            f"- data: {self.data_licence}",
            f"- versions: {', '.join(f'{name} {version}' for name, version in self.versions.items())}",
            "",
        ]
        return "\n".join(lines)

    def _adaptive_lines(self):
        lines = [
            "",
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
        return lines + [f"| {check['name']} | {check['level']} | {check['sentence']} |" for check in self.checks]

    def _line(self, accuracy):
        name, value, interval, n, _, queries, _ = row(accuracy)
        stated = self.paper.get(accuracy.name)
        paper = "" if stated is None else f"{stated:.2f}%"
        style = "**" if accuracy.name == "worst case" else ""
        return f"| {style}{name}{style} | {paper} | {style}{value}{style} | {interval} | {n} | {queries} |"


def _accuracy(record):
    """The `Accuracy` that a record states; its interval is computed anew."""
    names = {field.name for field in dataclasses.fields(Accuracy)}
    return Accuracy(**{key: record[key] for key in names})


def read(name, zoo=None):
    """The card of an entry (or of a model's default entry).

    Raises:
        ValueError: nothing has that name, or the record does not have a card's fields.
    """
    entry = manifest.resolve(name, zoo)
    record = json.loads(((zoo or manifest.folder()) / "cards" / f"{entry.name}.json").read_text())
    return checks.record(Card, record)


def write(card, zoo=None):
    """Write a card as JSON (the record) and Markdown (for reading)."""
    cards = (zoo or manifest.folder()) / "cards"
    text = json.dumps(dataclasses.asdict(card), indent=1) + "\n"
    write_atomically(cards / f"{card.name}.json", lambda path: path.write_text(text))
    write_atomically(cards / f"{card.name}.md", lambda path: path.write_text(str(card)))
