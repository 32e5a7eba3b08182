"""`load` and `list_models`: from a name to a network with verified weights."""

from tfrobust import architectures, checks, terminal
from tfrobust.zoo import cards, manifest, weights as weight_files


def load(name, weights="default", *, zoo=None, **kwargs):
    """Load a model of the zoo. Nothing is fetched from a network.

    Args:
        name: a model (`"lenet_dqa2"`, its default weights) or an entry (`"lenet_dqa2.digits_pgd"`).
        weights: `"default"` for the trained weights, None for a fresh, untrained network.
        zoo: folder of the zoo; None is the package's own.
        **kwargs: passed to the architecture, e.g. `classes`; only without weights.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, height, width, channels]`, to logits `[batch, classes]`.

    Raises:
        ValueError: nothing has that name (near names are listed), or the weight file's hash is not the manifest's.

    Example:
        >>> load("lenet_dqa2").output_shape
        (None, 10)

    Reference:
        The entry's card, `tfrobust.zoo.card(name)`, names the paper.
    """
    checks.one_of(weights, "weights", ("default", None))
    if weights is None:
        return architectures.build(name.split(".")[0], **kwargs)
    checks.require(not kwargs, "trained weights fit one architecture; its arguments need weights=None.", **kwargs)
    entry = manifest.resolve(name, zoo)
    model = architectures.build(entry.model)
    weight_files.load(model, (zoo or manifest.folder()) / "weights" / entry.weights, entry.sha256)
    return model


class ModelList(list):
    """Cards, printed as a table."""

    def table(self):
        """A `rich` table: clean, PGD-40, Square and worst-case accuracy of each entry."""
        import rich.table

        table = rich.table.Table(title="tfrobust zoo")
        for heading in ("entry", "data", "threat model", "bits", "KiB"):
            table.add_column(heading, no_wrap=True)
        for heading in ("clean", "PGD-40", "Square", "worst case", "gradients"):
            table.add_column(heading, justify="right", no_wrap=True)
        for each in self:
            bits = f"{each.activation_bits}/{each.weight_bits}"
            size = f"{each.weights_bytes / 1024:.0f}"
            table.add_row(each.name, each.data, each.threat, bits, size, *headline(each), each.verdict)
        return table

    def markdown(self):
        """The table as Markdown, with the paper's PGD figure beside ours; the README holds it."""
        lines = [
            "| entry | threat model | bits a/w | clean | PGD-40, paper | PGD-40 | Square | worst | gradients |",
            "|---|---|---|---:|---:|---:|---:|---:|---|",
        ]
        for each in self:
            clean, pgd, square, worst = headline(each)
            paper = f"{each.paper['PGD-40']:.2f}%" if "PGD-40" in each.paper else ""
            name, bits = f"[`{each.name}`](zoo/cards/{each.name}.md)", f"{each.activation_bits} / {each.weight_bits}"
            cells = (name, each.threat, bits, clean, paper, pgd, square, f"**{worst}**", each.verdict)
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def __str__(self):
        return terminal.render(self.table())

    __repr__ = __str__


def headline(each):
    """Clean, PGD-40, Square and worst-case accuracy of a card, as text."""
    found = {accuracy.name.split("-")[0]: f"{accuracy.value:.2%}" for accuracy in each.accuracies()}
    return [found.get(name, "") for name in ("clean", "PGD", "Square", "worst case")]


def list_models(dataset=None, *, zoo=None):
    """The cards of all entries that have weights.

    Args:
        dataset: keep entries trained on this data set; None keeps all.
        zoo: folder of the zoo; None is the package's own.

    Returns:
        A list of `Card` that prints as a table.

    Example:
        >>> "lenet_dqa2.mnist_pgd" in [card.name for card in list_models("mnist")]
        True
    """
    entries = manifest.read(zoo).values()
    chosen = [entry.name for entry in entries if dataset in (None, entry.data)]
    checks.require(chosen or dataset is None, "no entry was trained on this data set.", dataset=dataset)
    return ModelList(cards.read(name, zoo) for name in chosen)
