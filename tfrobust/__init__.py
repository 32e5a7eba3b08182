"""Quantized networks that resist adversarial attack: make, attack, measure and ship them.

Layers are registered with Keras at import; everything heavier loads at its first use.
"""

import importlib

from tfrobust import layers

SUBMODULES = ("architectures", "attacks", "data", "evaluation", "export", "quantizers", "training", "zoo")
VERBS = {"evaluate": "evaluation", "quantize": "layers", "summary": "layers"}

__version__ = "0.5.0"
__all__ = [*VERBS, "layers", *SUBMODULES]


def __getattr__(name):
    if name in SUBMODULES:
        return importlib.import_module(f"tfrobust.{name}")
    if name in VERBS:
        return getattr(importlib.import_module(f"tfrobust.{VERBS[name]}"), name)
    raise AttributeError(f"module 'tfrobust' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *SUBMODULES, *VERBS])
