"""What every quantizer object shares: a named surrogate, a precision, a config, and a call."""

import abc

from tfrobust import checks
from tfrobust.quantizers import surrogates


class AbstractQuantizer(abc.ABC):
    """A thin serialisable object around a pure function.

    Attributes:
        surrogate: name of the pseudo-derivative; may be reassigned on a built model.
        precision: bits per value that the quantized tensor needs.
        random: whether `noise` is needed: uniform numbers in [0, 1) of the input's shape.
    """

    random = False

    def __init__(self, surrogate):
        self.surrogate = surrogates.check(surrogate)

    @property
    @abc.abstractmethod
    def precision(self):
        """Bits per quantized value."""

    @abc.abstractmethod
    def __call__(self, x, noise=None):
        """Quantize `x`; `noise` as in the class's docstring where `random`, else unused."""

    def get_config(self):
        """Arguments that rebuild this object."""
        return {"surrogate": self.surrogate}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        return cls(**config)

    def __repr__(self):
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({shown})"


class AbstractBitsQuantizer(AbstractQuantizer):
    """A quantizer whose one hyper-parameter is its number of bits, 1 to 8."""

    def __init__(self, bits=2, surrogate="ste"):
        super().__init__(surrogate)
        self.bits = checks.bits(bits)

    @property
    def precision(self):
        return self.bits

    def get_config(self):
        return {"bits": self.bits, **super().get_config()}
