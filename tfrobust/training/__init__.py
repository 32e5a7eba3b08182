"""Training: `fit` and the defenses it takes."""

from tfrobust.training.defenses import AdversarialTraining, Standard
from tfrobust.training.trainer import Epoch, fit

__all__ = ["AdversarialTraining", "Epoch", "Standard", "fit"]
