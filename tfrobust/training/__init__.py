"""Training: `fit` and the defenses it takes."""

from tfrobust.training.adversarial import TRADES, AdversarialTraining
from tfrobust.training.augment import with_adversarial
from tfrobust.training.deep_defense import DeepDefense
from tfrobust.training.defenses import AbstractDefense, Standard
from tfrobust.training.free import FreeAdversarialTraining
from tfrobust.training.penalties import Orthogonality, Parseval, WeightDecay
from tfrobust.training.trainer import Epoch, fit

__all__ = [
    "TRADES",
    "AbstractDefense",
    "AdversarialTraining",
    "DeepDefense",
    "Epoch",
    "FreeAdversarialTraining",
    "Orthogonality",
    "Parseval",
    "Standard",
    "WeightDecay",
    "fit",
    "with_adversarial",
]
