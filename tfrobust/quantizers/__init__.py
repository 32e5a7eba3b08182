"""Quantizers: pure functions with pseudo-gradients, and thin serialisable objects around them.

A name ends in its number of bits (of levels for `sqa`): `dqa2`, `fixed3`, `kbit4`, `dorefa_weights2`, `sqa3`.
"""

import re

import keras

from tfrobust import checks
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.base import AbstractQuantizer
from tfrobust.quantizers.binary import Binary, BinaryStochastic, binary, binary_stochastic
from tfrobust.quantizers.dorefa import (
    DoReFaActivations,
    DoReFaGradients,
    DoReFaWeights,
    dorefa_activations,
    dorefa_gradients,
    dorefa_weights,
)
from tfrobust.quantizers.dqa import DQAQuantizer, dqa
from tfrobust.quantizers.fixed import FixedQuantizer, fixed
from tfrobust.quantizers.kbit import KBit, kbit
from tfrobust.quantizers.sqa import SQAQuantizer, sqa

QUANTIZERS = {
    "sqa": SQAQuantizer,
    "fixed": FixedQuantizer,
    "dqa": DQAQuantizer,
    "binary": Binary,
    "binary_stochastic": BinaryStochastic,
    "kbit": KBit,
    "dorefa_weights": DoReFaWeights,
    "dorefa_activations": DoReFaActivations,
    "dorefa_gradients": DoReFaGradients,
}

__all__ = [
    "QUANTIZERS",
    "AbstractQuantizer",
    "get",
    "binary",
    "binary_stochastic",
    "dorefa_activations",
    "dorefa_gradients",
    "dorefa_weights",
    "dqa",
    "fixed",
    "kbit",
    "sqa",
    "surrogates",
    *sorted(kind.__name__ for kind in QUANTIZERS.values()),
]


def get(identifier):
    """Turn a name, a saved config or an object into a quantizer object; None stays None.

    Args:
        identifier: None, a quantizer, a name such as `"kbit4"` or `"binary"`, or a serialised config.

    Returns:
        A quantizer object or None.

    Raises:
        ValueError: an unknown name, or a number outside the quantizer's range.

    Example:
        >>> get("kbit4")
        KBit(bits=4, surrogate='ste')
    """
    if identifier is None or isinstance(identifier, AbstractQuantizer):
        return identifier
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    name, number = re.fullmatch(r"(.*?)(\d*)", str(identifier)).groups()
    if name not in QUANTIZERS:
        near = checks.listing(name, QUANTIZERS)
        raise ValueError(
            f"a quantizer must be one of {near}; bits follow the name, as in dqa2. Received: {identifier!r}"
        )
    takes_no_number = name in ("binary", "binary_stochastic")
    checks.require(not (number and takes_no_number), f"{name} takes no number of bits.", quantizer=identifier)
    return QUANTIZERS[name](int(number)) if number else QUANTIZERS[name]()
