"""Which activation and which weights get which quantizer, as one value that every architecture takes."""

import dataclasses
import re

from tfrobust import checks, quantizers

ACTIVATIONS = ("relu", "sqa", "fixed1…8", "dqa1…8")
SUFFIXES = ("fixed1…8", "dqa1…8", "sqa", "bnn", "randbnn", "w1…8")


@dataclasses.dataclass(frozen=True)
class Policy:
    """Quantization of one network.

    Args:
        activation: `"relu"`; `"fixed<n>"` or `"dqa<n>"`, which replace every ReLU; or `"sqa"`, which follows the
            first ReLU with 2 levels and the second with 3, as in the paper.
        kernel: None or the name of a weight quantizer, e.g. `"binary"`, `"kbit4"`. The first and the last layer
            with weights stay float.

    Raises:
        ValueError: a name that is not known, or bits outside 1 to 8.

    Example:
        >>> Policy.from_suffix("dqa2")
        Policy(activation='dqa2', kernel=None)
    """

    activation: str = "relu"
    kernel: str | None = None

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

    @classmethod
    def from_suffix(cls, suffix):
        """The policy that the rest of a model's name means: `dqa2`, `fixed1`, `sqa`, `bnn`, `randbnn`, `w4`."""
        if suffix == "sqa" or re.fullmatch(r"(fixed|dqa)\d+", suffix):
            return cls(activation=suffix)
        if suffix == "bnn":
            return cls(kernel="binary")
        if suffix == "randbnn":
            return cls(kernel="binary_stochastic")
        if re.fullmatch(r"w\d+", suffix):
            return cls(kernel=f"kbit{suffix[1:]}")
        raise ValueError(f"a quantization must be one of {', '.join(SUFFIXES)}. Received: {suffix!r}")
