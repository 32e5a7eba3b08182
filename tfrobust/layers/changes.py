"""What becomes of each part of a model under `quantize`: the record, and the decisions."""

import dataclasses
import difflib
import itertools
import re
from typing import NamedTuple

import keras

from tfrobust import checks, quantizers, terminal
from tfrobust.layers import graph
from tfrobust.layers.quantized import QuantConv2D, QuantDense, QuantDepthwiseConv2D, QuantSeparableConv2D

QUANTIZED = {
    keras.layers.Conv2D: QuantConv2D,
    keras.layers.Dense: QuantDense,
    keras.layers.DepthwiseConv2D: QuantDepthwiseConv2D,
    keras.layers.SeparableConv2D: QuantSeparableConv2D,
}
KINDS = QUANTIZED | {kind: kind for kind in QUANTIZED.values()}  # a float kernel may sit in a quantized layer too
ACTIVATION_LAST = (  # layers whose `activation` argument can as well be a layer after them
    *KINDS,
    *(keras.layers.Conv1D, keras.layers.Conv3D, keras.layers.DepthwiseConv1D, keras.layers.SeparableConv1D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    keras.layers.EinsumDense,
)
NONLINEAR = {name.replace("_", "") for name in dir(keras.activations)} - {"linear"} | {"prelu"}
REPLACE_RELU = ("dqa", "fixed", "sqa", "dorefa", "dorefa_activations")
SQA_LEVELS = (2, 3)  # of "sqa", after the first and the second ReLU (lambda = 1 and 2 in the paper)
CONVERTED, KEPT, LEFT = STATES = ("converted", "kept", "left")


class Change(NamedTuple):
    """What becomes of one part of a layer.

    `part` is `kernel`, `activation` or `input` (the images that the layer reads). `state` is `converted` (`detail`
    names the quantizer), `kept` on purpose, or `left` because nothing can be done (`detail` says why).
    """

    layer: str
    kind: str
    part: str
    state: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `quantize` turns into what, and what not and why; `print(plan)` shows it as a table.

    Attributes:
        model: name of the model.
        changes: `Change` records in the order of computation.
    """

    model: str
    changes: list[Change]

    @property
    def converted(self):
        """Parts that get a quantizer."""
        return self._those(CONVERTED)

    @property
    def kept(self):
        """Parts that stay float on purpose."""
        return self._those(KEPT)

    @property
    def left(self):
        """Parts that were to be quantized and cannot be."""
        return self._those(LEFT)

    def _those(self, state):
        return [change for change in self.changes if change.state == state]

    def to_dict(self):
        """Plain data."""
        return {"model": self.model, "changes": [change._asdict() for change in self.changes]}

    def table(self):
        """A `rich` table; `print(plan)` shows it too."""
        import rich.table

        counts = ", ".join(f"{len(self._those(state))} {state}" for state in STATES)
        table = rich.table.Table(*Change._fields, title=f"{self.model}: {counts}")
        for change in self.changes:
            table.add_row(*change)
        return table

    def __str__(self):
        return terminal.render(self.table())


def changes(model, activation, kernel, input, skip):
    """List of `(layer, Change)` for each part of the model that the arguments of `quantize` ask about."""
    activations = _activation_names(activation)
    kernel, input = _name(kernel, "dorefa_weights"), _name(input, "dorefa_activations")
    calls, first_calls, found = graph.calls(model), {}, []
    for call in calls:
        first_calls.setdefault(id(call.layer), call)
    reasons = _reasons_to_keep(list(first_calls.values()), skip)
    readers = _readers_of_images(calls) if input else ()

    def note(call, part, decide, *arguments):
        reason = _present(call.layer, part) or reasons.get((id(call.layer), part))
        state, detail = (KEPT, reason) if reason else decide(call.layer, *arguments)
        found.append((call.layer, Change(call.path, type(call.layer).__name__, part, state, detail)))

    for call in first_calls.values():
        if id(call.layer) in readers:
            note(call, "input", _weighted, input)
        if kernel and getattr(call.layer, "weights", ()) and not graph.is_quantized_activation(call.layer):
            note(call, "kernel", _weighted, kernel)
        if activation and _function(call.layer) is not None:
            note(call, "activation", _activation, activations)
    reached = any(change.part == "input" and change.state != LEFT for _, change in found)
    kinds = ", ".join(kind.__name__ for kind in QUANTIZED)
    checks.require(reached or not input, f"input needs a layer ({kinds}) that reads the images.", input=input)
    return found


# How each part is decided: `(state, detail)`


def _weighted(layer, name):
    if isinstance(layer, graph.NORMALIZATIONS):
        return KEPT, "normalization stays float"
    return (CONVERTED, name) if type(layer) in KINDS else (LEFT, "no quantized layer of this kind")


def _activation(layer, names):
    function = _function(layer)
    if not _is_relu(function):
        return LEFT, f"only ReLU is replaced, this is {_label(function)}"
    if function is not layer and type(layer) not in (*ACTIVATION_LAST, keras.layers.Activation):
        return LEFT, "the activation is inside the layer"
    name = next(names)
    return (CONVERTED, name) if name else (KEPT, "sqa follows the first two")


def _present(layer, part):
    """What a part is quantized by already; None if by nothing."""
    place = {"kernel": "kernel_quantizer", "input": "input_quantizer", "activation": "quantizer"}[part]
    present = getattr(layer, place, None) or (part == "kernel" and getattr(layer, "quantization_mode", None))
    return f"quantized already by {present}" if present else None


def _function(layer):
    """The activation of a layer: its argument, or itself if it is one; None if it has none."""
    function = getattr(layer, "activation", None)
    if function is not None:
        return None if function is keras.activations.linear else function
    return layer if _label(layer) in NONLINEAR or graph.is_quantized_activation(layer) else None


def _label(function):
    return getattr(function, "__name__", type(function).__name__).lower()


def _is_relu(function):
    is_plain = not getattr(function, "negative_slope", 0) and not getattr(function, "threshold", 0)
    return _label(function) in ("relu", "relu6") and is_plain


# What the arguments mean


def _activation_names(activation):
    """Iterator over the names that one ReLU after the other gets; None for a ReLU that stays."""
    if activation == "sqa":
        return itertools.chain((f"sqa{levels}" for levels in SQA_LEVELS), itertools.repeat(None))
    if activation is not None:
        kind = re.sub(r"\d+$", "", activation)
        checks.one_of(kind, "activation", REPLACE_RELU)
        checks.require(kind != activation, f"{kind} needs a number of bits.", activation=activation)
    return itertools.repeat(_name(activation, "dorefa_activations"))


def _name(quantizer, dorefa):
    """A quantizer's full name, which `quantizers.get` knows."""
    name = None if quantizer is None else re.sub(r"^dorefa(?=\d*$)", dorefa, quantizer)
    quantizers.get(name)
    return name


def _reasons_to_keep(calls, skip):
    """`(id of layer, part)` -> reason, for what `skip` means."""
    rules = [skip] if isinstance(skip, str) or callable(skip) else list(skip or ())
    names = {name: None for call in calls for name in (call.path, *call.path.split("/"))}
    for rule in rules:
        if rule != "ends" and not callable(rule) and rule not in names:
            near = " or ".join(difflib.get_close_matches(str(rule), names)) or "no name is near"
            raise ValueError(f"skip must name layers of the model (did you mean {near}?). Received: skip={rule!r}")
    reasons = _ends(calls) if "ends" in rules else {}
    for call, rule in itertools.product(calls, rules):
        named = rule(call.layer) if callable(rule) else rule in (call.path, *call.path.split("/"))
        if named:
            reasons |= {(id(call.layer), part): "in skip" for part in ("kernel", "activation", "input")}
    return reasons


def _ends(calls):
    places = [place for place, call in enumerate(calls) if graph.has_kernel(call.layer)]
    if not places:
        return {}
    first, last = places[0], places[-1]
    reasons = {(id(call.layer), "activation"): "after the last kernel" for call in calls[last:]}
    reasons[id(calls[first].layer), "kernel"] = "first layer with a kernel"
    reasons[id(calls[last].layer), "kernel"] = "last layer with a kernel"
    return reasons


def _readers_of_images(calls):
    """Ids of the layers that get images as they are, but for being moved or padded, and compute with them."""
    is_image, readers = {}, set()
    for call in calls:
        gets_images = any(is_image.get(id(tensor), True) for tensor in call.inputs)
        keeps = graph.keeps_values(call.layer)
        is_image |= {id(tensor): gets_images and keeps for tensor in call.outputs}
        if gets_images and not keeps:
            readers.add(id(call.layer))
    return readers
