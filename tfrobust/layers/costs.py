"""`summary`: bits, parameters, size and multiplications of a model, per layer and in total."""

import dataclasses
import math
import re
from collections import Counter

import keras

from tfrobust import checks, terminal
from tfrobust.layers import graph
from tfrobust.quantizers import AbstractQuantizer

AT_OUTPUTS = (  # each position of the output takes every weight of a kernel once
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
)
AT_INPUTS = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
HEADINGS = ("layer", "kind", "output", "bits in", "bits w", "parameters", "KiB", "MACs")


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One call of a layer on one image.

    Attributes:
        name: the layer's name, after the names of the models around it.
        kind: its class.
        output: shape of its output, without the batch.
        input_bits: precision of the values that it computes with.
        weight_bits: precision of its kernel (of its weights, if it has no kernel); None without weights.
        parameters: bits -> number of weights of that precision; empty where a layer is called again.
        macs: multiply-accumulate operations; None if there is no formula for its kind.
    """

    name: str
    kind: str
    output: tuple
    input_bits: int
    weight_bits: int | None
    parameters: dict
    macs: int | None

    @property
    def bytes(self):
        """Size of the weights at their precision, in whole bytes."""
        return math.ceil(sum(bits * n for bits, n in self.parameters.items()) / 8)

    def cells(self):
        """The row of a table, as text, under `HEADINGS`."""
        shape, bits = " x ".join(map(str, self.output)), "" if self.weight_bits is None else str(self.weight_bits)
        parameters, macs = sum(self.parameters.values()), "?" if self.macs is None else _or_blank(self.macs, ",")
        size = _or_blank(self.bytes / 1024, ",.1f")
        return (self.name, self.kind, shape, str(self.input_bits), bits, _or_blank(parameters, ","), size, macs)


@dataclasses.dataclass(frozen=True, repr=False)
class Summary:
    """What a model costs on one image; `print(summary)` shows it.

    Attributes:
        model: name of the model.
        layers: `LayerCost` records in the order of computation.
    """

    model: str
    layers: list[LayerCost]

    @property
    def parameters_by_bits(self):
        """Bits -> number of weights, most bits first."""
        return _total(cost.parameters for cost in self.layers)

    @property
    def parameters(self):
        """Number of weights."""
        return sum(self.parameters_by_bits.values())

    @property
    def bytes(self):
        """Size of all weights at their precision."""
        return sum(cost.bytes for cost in self.layers)

    @property
    def ratio(self):
        """That size over the size of the same weights in float32."""
        return self.bytes / (4 * self.parameters) if self.parameters else 1.0

    @property
    def macs_by_bits(self):
        """(bits of the weights, bits of the inputs) -> multiply-accumulate operations, most bits first."""
        return _total({(cost.weight_bits, cost.input_bits): cost.macs} for cost in self.layers if cost.macs)

    @property
    def macs(self):
        """Multiply-accumulate operations of all layers that a formula is known for."""
        return sum(self.macs_by_bits.values())

    @property
    def uncounted(self):
        """Names of layers with kernels whose operations no formula is known for."""
        return [cost.name for cost in self.layers if cost.macs is None]

    def to_dict(self):
        """Plain data; precisions of operations as `"<weight>x<input>"`."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "parameters_by_bits": {str(bits): n for bits, n in self.parameters_by_bits.items()},
            "bytes": self.bytes,
            "ratio": self.ratio,
            "macs": self.macs,
            "macs_by_bits": {f"{weight}x{input}": n for (weight, input), n in self.macs_by_bits.items()},
            "uncounted": self.uncounted,
            "layers": [{**dataclasses.asdict(cost), "bytes": cost.bytes} for cost in self.layers],
        }

    def rows(self):
        """`(what, value)` pairs of the totals as text."""
        size = f"{self.bytes / 1024:,.1f} KiB, {self.ratio:.1%} of float32's {self.parameters / 256:,.1f} KiB"
        return [
            ("parameters", f"{self.parameters:,}"),
            *((f"parameters of {bits} bit", f"{n:,}") for bits, n in self.parameters_by_bits.items()),
            ("size of the parameters", size),
            ("MACs per image", f"{self.macs:,}"),
            *((f"MACs of {w} bit weights x {x} bit inputs", f"{n:,}") for (w, x), n in self.macs_by_bits.items()),
            *([("MACs not counted", ", ".join(self.uncounted))] if self.uncounted else []),
        ]

    def table(self):
        """`rich` tables: layers, then totals; `print(summary)` shows them too."""
        import rich.console
        import rich.table

        layers = rich.table.Table(title=self.model)
        for heading in HEADINGS:
            is_text = heading in HEADINGS[:2]
            layers.add_column(heading, justify="left" if is_text else "right", no_wrap=heading != "layer")
        for cost in self.layers:
            layers.add_row(*cost.cells())
        totals = rich.table.Table(show_header=False)
        for row in self.rows():
            totals.add_row(*row)
        return rich.console.Group(layers, totals)

    def markdown(self):
        """The two tables as Markdown."""
        layers = [HEADINGS, ("---", "---", *["---:"] * (len(HEADINGS) - 2)), *(cost.cells() for cost in self.layers)]
        totals = [("total", ""), ("---", "---:"), *self.rows()]
        return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in table) for table in (layers, totals))

    def __str__(self):
        return terminal.render(self.table())

    __repr__ = __str__


def summary(model):
    """Count a model's parameters, their size, and its multiplications, by precision.

    Formula: a layer's MACs are its kernel's weights times the positions of its output (transposed convolutions: of
    its input), also where a window reaches over the border; its size is the sum of its weights' bits, in whole bytes.

    A kernel has its quantizer's bits (k-bit kernels k, though they take 2^k + 1 values), other weights those of
    their type, 32 as a rule. An input has the bits of the quantizer that it comes from, through layers that only
    move values (max pooling, flattening, padding, dropout, …), else 32; a sum or mean of quantized values has 32.
    A zero from padding or dropout is not counted as one more value. Biases, normalization and pooling count no MACs.

    Args:
        model: functional or sequential `keras.Model` with inputs of a fixed size; models inside it are gone through.

    Returns:
        A `Summary`, per layer and in total: `print(summary(model))`, `.to_dict()`, `.markdown()`.

    Raises:
        ValueError: a subclassed or unbuilt model, or inputs whose size is open.

    Example:
        >>> from tfrobust.layers import DQA, QuantDense
        >>> dense = QuantDense(3, kernel_quantizer="binary")
        >>> counted = summary(keras.Sequential([keras.Input((10,)), DQA(2), dense]))
        >>> counted.parameters_by_bits, counted.macs_by_bits  # 4 thresholds and 3 biases; 10 x 3 weights
        ({32: 7, 1: 30}, {(1, 2): 30})

    Reference:
        M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, counts MACs this way.
    """
    calls, costs, bits_of, seen = graph.calls(model), [], {}, set()
    sizes = [tuple(x.shape[1:]) for x in model.inputs]
    checks.require(not any(None in size for size in sizes), "the model's inputs must have a fixed size.", shape=sizes)
    for call in calls:
        costs.append(_cost(call, bits_of, is_again=id(call.layer) in seen))
        seen.add(id(call.layer))
        bits_of |= {id(x): _output_bits(call, x, bits_of) for x in call.outputs}
    return Summary(model.name, costs)


def _cost(call, bits_of, is_again):
    layer, weights = call.layer, _weight_bits(call.layer)
    kernel = [bits for weight, bits in weights if _is_kernel(weight)] or [bits for _, bits in weights]
    own = _precision(layer, "input_quantizer")
    return LayerCost(
        name=call.path,
        kind=type(layer).__name__,
        output=tuple(call.outputs[0].shape[1:]),
        input_bits=_input_bits(call, bits_of) if own is None else own,
        weight_bits=max(kernel, default=None),
        parameters={} if is_again else _total({bits: math.prod(weight.shape)} for weight, bits in weights),
        macs=_macs(call),
    )


def _macs(call):
    """Multiply-accumulate operations of one call; None if unknown."""
    layer = call.layer
    if not graph.has_kernel(layer) or isinstance(layer, keras.layers.Embedding):
        return 0
    if not isinstance(layer, (*AT_OUTPUTS, *AT_INPUTS)):
        return None
    shape = (call.inputs if isinstance(layer, AT_INPUTS) else call.outputs)[0].shape
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    positions = math.prod(shape[2:] if channels_first else shape[1:-1])
    return positions * sum(math.prod(weight.shape) for weight in layer.weights if _is_kernel(weight))


def _weight_bits(layer):
    """`(weight, bits)` of each weight of a layer."""
    quantized = _precision(layer, "kernel_quantizer")
    return [
        (weight, quantized if quantized is not None and _is_kernel(weight) else _bits(weight.dtype))
        for weight in getattr(layer, "weights", ())
    ]


def _is_kernel(weight):
    return weight.name.endswith("kernel")


def _input_bits(call, bits_of):
    return max((bits_of.get(id(x), _bits(x.dtype)) for x in call.inputs), default=32)


def _output_bits(call, output, bits_of):
    own = _precision(call.layer, "quantizer")
    if own is not None:
        return own
    return _input_bits(call, bits_of) if graph.keeps_values(call.layer) else _bits(output.dtype)


def _precision(layer, place):
    quantizer = getattr(layer, place, None)
    return quantizer.precision if isinstance(quantizer, AbstractQuantizer) else None


def _or_blank(number, style):
    return format(number, style) if number else ""


def _bits(dtype):
    """Bits of a type by its name: 32 of `float32`, 8 of `bool`."""
    return int(re.sub(r"\D", "", keras.backend.standardize_dtype(dtype)) or 8)


def _total(counts):
    """Sum of dicts of numbers, largest key first."""
    total = sum((Counter(count) for count in counts), Counter())
    return dict(sorted(total.items(), reverse=True))
