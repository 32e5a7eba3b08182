"""Which activation and which weights get which quantizer, as one value that every architecture takes."""

import dataclasses
import re

from tfrobust import checks, quantizers

ACTIVATIONS = ("relu", "sqa", "fixed1…8", "dqa1…8", "dorefa_activations1…8")
SUFFIXES = ("in1…8", "fixed1…8", "dqa1…8", "sqa", "bnn", "randbnn", "w1…8", "w1…8a1…8", "w1…8a1…8g1…8", "mcd[1…99]")
TAKE_BITS = ("fixed", "dqa", "dorefa_activations")
KERNELS = {"bnn": "binary", "randbnn": "binary_stochastic"}
MCD_RATE = 0.5  # the MC-dropout paper's


@dataclasses.dataclass(frozen=True)
class Policy:
    """Quantization of one network.

    Args:
        activation: `"relu"`; `"fixed<n>"`, `"dqa<n>"` or `"dorefa_activations<n>"`, which replace every ReLU; or
            `"sqa"`, which follows the first ReLU with 2 levels and the second with 3, as in the paper (in a residual
            network that of the stem and that of the first block).
        kernel: None or the name of a weight quantizer, e.g. `"binary"`, `"kbit4"`, `"dorefa_weights2"`. The first and
            the last layer with weights stay float.
        input: None or the name of a quantizer for the images, e.g. `"dorefa_activations1"`, which tells pixels above
            1/2 from those below.
        dropout: share of units that `MCDropout` drops after every hidden layer, at inference too, in [0, 1); 0 puts
            no such layer in. Which layers is our reading: dropping after all of them gives the paper's accuracy of
            one pass, dropping after the dense one alone a higher one.
        gradient: None or bits, 1 to 8, that gradients get in training behind every layer whose kernel `kernel` may
            quantize.

    Raises:
        ValueError: a name that is not known, bits outside 1 to 8, or `dropout` outside [0, 1).

    Example:
        >>> Policy.from_suffix("in1_dqa2")
        Policy(activation='dqa2', kernel=None, input='dorefa_activations1', dropout=0.0, gradient=None)
    """

    activation: str = "relu"
    kernel: str | None = None
    input: str | None = None
    dropout: float = 0.0
    gradient: int | None = None

    def __post_init__(self):
        name = re.sub(r"\d+$", "", self.activation)
        if name not in ("relu", "sqa", *TAKE_BITS):
            checks.one_of(self.activation, "activation", ACTIVATIONS)
        has_number = self.activation != name
        if name in TAKE_BITS:
            checks.require(has_number, f"{name} needs a number of bits.", activation=self.activation)
            quantizers.get(self.activation)
        else:
            checks.require(not has_number, f"{name} takes no number.", activation=self.activation)
        quantizers.get(self.kernel)
        quantizers.get(self.input)
        checks.require(0 <= self.dropout < 1, "dropout must lie in [0, 1).", dropout=self.dropout)
        if self.gradient is not None:
            checks.bits(self.gradient)

    @classmethod
    def from_suffix(cls, suffix):
        """The policy that the rest of a model's name means, joined by `_`: `in1_dqa2`, `sqa`, `w4_mcd`, `w1a2g6`."""
        fields = {}
        for part in suffix.split("_"):
            for field, value in _fields(part).items():
                once = field not in fields
                checks.require(once, f"a model's name may give its {field} one quantization.", name=suffix)
                fields[field] = value
        return cls(**fields)


def _fields(part):
    """Fields of a `Policy` that one part of a model's name sets."""
    if part == "sqa" or re.fullmatch(r"(fixed|dqa)\d+", part):
        return {"activation": part}
    if part in KERNELS:
        return {"kernel": KERNELS[part]}
    if match := re.fullmatch(r"mcd([1-9]\d?)?", part):  # in percent
        return {"dropout": int(match[1]) / 100 if match[1] else MCD_RATE}
    if match := re.fullmatch(r"in(\d+)", part):
        return {"input": f"dorefa_activations{match[1]}"}
    if match := re.fullmatch(r"w(\d+)", part):
        return {"kernel": f"kbit{match[1]}"}
    if match := re.fullmatch(r"w(\d+)a(\d+)(?:g(\d+))?", part):
        fields = {"kernel": f"dorefa_weights{match[1]}", "activation": f"dorefa_activations{match[2]}"}
        return {**fields, "gradient": int(match[3])} if match[3] else fields
    raise ValueError(f"a quantization must be one of {', '.join(SUFFIXES)}. Received: {part!r}")
