"""`load`, `save` and `list_models`: from a name to a network with verified weights, and back."""

import dataclasses
import pathlib
import re

import keras

from tfrobust import architectures, checks, data as datasets, terminal
from tfrobust.files import sha256, write_atomically
from tfrobust.zoo import cards, facts, fetch, manifest, weights as weight_files

NAME = r"\w[\w-]*(\.\w[\w-]*)*"


def load(name, weights="default", *, zoo=None, **kwargs):
    """Load a model of the zoo.

    Nothing is fetched from a network, unless the environment variable `TFROBUST_ZOO` is the URL of a zoo (or a folder)
    that holds weights which this one does not: those are fetched once, hash checked, and kept.

    Args:
        name: a model (`"lenet_dqa2"`, its default weights), an entry (`"lenet_dqa2.digits_pgd"`), or the folder of a
            zoo of one entry.
        weights: `"default"` for the trained weights, None for a fresh, untrained network.
        zoo: folder of the zoo; None is the package's own.
        **kwargs: passed to the architecture, e.g. `classes`; only without weights.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, height, width, channels]`, to logits `[batch, classes]`.

    Raises:
        ValueError: nothing has that name (near names are listed), it has no weights yet (its recipe is named), or the
            weight file cannot be had or has another hash than the manifest says.

    Example:
        >>> load("lenet_dqa2").output_shape
        (None, 10)

    Reference:
        The entry's card, `tfrobust.zoo.card(name)`, names the paper.
    """
    checks.one_of(weights, "weights", ("default", None))
    if zoo is None and (pathlib.Path(name) / manifest.FILE).is_file():
        name, zoo = _only(name), name
    if weights is None:
        return _fresh(str(name), zoo, kwargs)
    checks.require(not kwargs, "trained weights fit one architecture; its arguments need weights=None.", **kwargs)
    entry = manifest.trained(str(name), zoo)
    path = fetch.weight_file(entry, zoo)
    if path.suffix == ".keras":
        weight_files.verify(path, entry.sha256)
        return keras.models.load_model(path)
    model = build(entry.model, entry.data)
    weight_files.load(model, path, entry.sha256)
    return model


def build(model, data="", **kwargs):
    """A fresh network by its model's name, for the images of a data set if that is known."""
    shape = {"input_shape": datasets.SHAPES[data]} if data in datasets.SHAPES else {}
    return architectures.build(model, **{**shape, **kwargs})


def _fresh(name, zoo, kwargs):
    """A fresh network by a model's name, or as an entry has it."""
    if "." not in name:
        return build(name, **kwargs)
    entry = manifest.resolve(name, zoo)
    return build(entry.model, entry.data, **kwargs)


def _only(folder):
    """Name of the one entry of a zoo."""
    names = list(manifest.read(folder))
    checks.require(len(names) == 1, "of a zoo of several entries give a name, load(name, zoo=folder).", names=names)
    return names[0]


def save(model, name, folder, *, data="", threat="none"):
    """Put a model of your own into the folder of a zoo: `load(name, zoo=folder)` gives it back, as does `load(folder)`.

    The whole model is kept, as a `.keras` file, so it need not be an architecture of this package; layers of your own
    must be registered with Keras when it is loaded. Its card says what can be counted; `tfrobust.evaluate` measures it,
    and a `Recipe` with `publish` writes cards with figures.

    Args:
        model: functional or sequential `keras.Model` from images in [0, 1] to logits.
        name: `"mine"` or `"<model>.<tag>"`, letters, digits, `_` and `-`; an entry of that name is replaced.
        folder: the zoo; made if it is not there.
        data: data set that the model was trained on; shown, and what `list_models` filters by.
        threat: what it was trained for, a `ThreatModel` or text.

    Returns:
        The manifest's `Entry`.

    Raises:
        ValueError: another name, a model that `tfrobust.summary` cannot count, or a folder that cannot be written.

    Example:
        >>> import tempfile, tfrobust
        >>> mine = tfrobust.zoo.load("mlp_w2", weights=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = save(mine, "mine", folder, data="digits")
        ...     load("mine", zoo=folder).name
        'mlp_w2'

    Reference:
        Keras's guide to saving whole models, https://keras.io/guides/serialization_and_saving.
    """
    is_name = re.fullmatch(NAME, name) is not None
    checks.require(is_name, "name must be letters, digits, _ and -, in parts joined by dots.", name=name)
    stated = {"name": name, "model": name.split(".")[0], "data": data, "threat": str(threat)}
    licence = cards.LICENCES.get(data, "")
    card = cards.Card(**stated, **facts.of(model), data_licence=licence, verdict=cards.NOT_MEASURED)
    file = manifest.folder(folder) / "weights" / f"{name}.keras"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, model.save)
    size = file.stat().st_size
    cards.write(dataclasses.replace(card, weights_bytes=size), folder)
    written = {"weights": file.name, "sha256": sha256(file), "bytes": size}
    entry = manifest.Entry(**stated, **written, is_default=_is_first(stated["model"], name, folder))
    manifest.add(entry, folder)
    return entry


def _is_first(model, name, folder):
    """Whether no other entry is the default of this model."""
    others = [entry for entry in manifest.read(folder).values() if entry.name != name]
    return not any(entry.is_default and entry.model == model for entry in others)


class ModelList(list):
    """Cards, printed as a table."""

    def table(self):
        """A `rich` table: bits (activations/weights), size at these bits, million MACs, and accuracy of each entry."""
        import rich.table

        table = rich.table.Table(title="tfrobust zoo")
        for heading in ("entry", "data", "threat model"):
            table.add_column(heading, no_wrap=True)
        for heading in ("bits", "KiB", "MMACs", "clean", "PGD-40", "Square", "worst case", "gradients"):
            table.add_column(heading, justify="right", no_wrap=True)
        for each in self:
            cost = each.size_bytes / 1024, each.macs / 1e6
            numbers = (f"{each.activation_bits}/{each.weight_bits}", *(f"{value:,.1f}" for value in cost))
            threat = each.threat.removesuffix(" on [0,1]")
            table.add_row(each.name, each.data, threat, *numbers, *headline(each), each.verdict)
        return table

    def markdown(self):
        """The measured entries as Markdown, with the paper's PGD figure beside ours; the README holds it."""
        lines = [
            "| entry | threat model | bits a/w | clean | PGD-40, paper | PGD-40 | Square | worst | gradients |",
            "|---|---|---|---:|---:|---:|---:|---:|---|",
        ]
        for each in (card for card in self if card.is_measured):
            clean, pgd, square, worst = headline(each)
            paper = f"{each.paper['PGD-40']:.2f}%" if "PGD-40" in each.paper else ""
            name, bits = f"[`{each.name}`](zoo/cards/{each.name}.md)", f"{each.activation_bits} / {each.weight_bits}"
            cells = (name, each.threat, bits, clean, paper, pgd, square, f"**{worst}**", each.verdict)
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)

    def __str__(self):
        return terminal.render(self.table(), width=160)

    __repr__ = __str__


def headline(each):
    """Clean, PGD-40, Square and worst-case accuracy of a card, as text; blank where it has none."""
    found = {accuracy.name.split("-")[0]: f"{accuracy.value:.2%}" for accuracy in each.accuracies()}
    return [found.get(name, "") for name in ("clean", "PGD", "Square", "worst case")]


def list_models(dataset=None, trained=None, *, zoo=None):
    """The cards of all entries; one without weights yet says "untrained" and has no figures.

    Args:
        dataset: keep entries for this data set; None keeps all.
        trained: True keeps entries that have weights, False those that have none yet, None all.
        zoo: folder of the zoo; None is the package's own.

    Returns:
        A list of `Card` that prints as a table.

    Raises:
        ValueError: no entry is for that data set.

    Example:
        >>> "lenet_dqa2.mnist_pgd" in [card.name for card in list_models("mnist", trained=True)]
        True
    """
    entries = [entry for entry in manifest.read(zoo).values() if dataset in (None, entry.data)]
    checks.require(entries or dataset is None, "no entry was trained on this data set.", dataset=dataset)
    return ModelList(cards.read(entry.name, zoo) for entry in entries if trained in (None, entry.is_trained))
