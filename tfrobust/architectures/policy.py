"""Which activation and which weights get which quantizer, as one value that every architecture takes."""

import dataclasses
import re

from tfrobust import checks, quantizers

ACTIVATIONS = ("relu", "sqa", "fixed1…8", "dqa1…8")
SUFFIXES = ("in1…8", "fixed1…8", "dqa1…8", "sqa", "bnn", "randbnn", "w1…8")
KERNELS = {"bnn": "binary", "randbnn": "binary_stochastic"}


@dataclasses.dataclass(frozen=True)
class Policy:
    """Quantization of one network.

    Args:
        activation: `"relu"`; `"fixed<n>"` or `"dqa<n>"`, which replace every ReLU; or `"sqa"`, which follows the
            first ReLU with 2 levels and the second with 3, as in the paper.
        kernel: None or the name of a weight quantizer, e.g. `"binary"`, `"kbit4"`. The first and the last layer
            with weights stay float.
        input: None or the name of a quantizer for the images, e.g. `"dorefa_activations1"`, which tells pixels above
            1/2 from those below.

    Raises:
        ValueError: a name that is not known, or bits outside 1 to 8.

    Example:
        >>> Policy.from_suffix("dqa2")
        Policy(activation='dqa2', kernel=None, input=None)
    """

    activation: str = "relu"
    kernel: str | None = None
    input: str | None = None

    def __post_init__(self):
        name = re.sub(r"\d+$", "", self.activation)
        if name not in ("relu", "sqa", "fixed", "dqa"):
            checks.one_of(self.activation, "activation", ACTIVATIONS)
        has_number = self.activation != name
        if name in ("fixed", "dqa"):
            checks.require(has_number, f"{name} needs a number of bits.", activation=self.activation)
            quantizers.get(self.activation)
        else:
            checks.require(not has_number, f"{name} takes no number.", activation=self.activation)
        quantizers.get(self.kernel)
        quantizers.get(self.input)

    @classmethod
    def from_suffix(cls, suffix):
        """The policy that the rest of a model's name means, joined by `_`: `dqa2`, `in1_dqa2`, `sqa`, `bnn`, `w4`."""
        fields = {}
        for part in suffix.split("_"):
            field, value = _field(part)
            checks.require(field not in fields, f"a model's name may give its {field} one quantization.", name=suffix)
            fields[field] = value
        return cls(**fields)


def _field(part):
    """`(field, value)` of a `Policy` that one part of a model's name means."""
    if part == "sqa" or re.fullmatch(r"(fixed|dqa)\d+", part):
        return "activation", part
    if part in KERNELS:
        return "kernel", KERNELS[part]
    if match := re.fullmatch(r"(in|w)(\d+)", part):
        kind, bits = match.groups()
        return ("input", f"dorefa_activations{bits}") if kind == "in" else ("kernel", f"kbit{bits}")
    raise ValueError(f"a quantization must be one of {', '.join(SUFFIXES)}. Received: {part!r}")
