"""Honest evaluation: accuracies with intervals, worst case per image, reports, uncertainty and detection."""

from tfrobust.evaluation.detection import Detection, LogisticDetector, MixtureDetector, histogram
from tfrobust.evaluation.distances import least_fgsm_eps, perceptual_similarity, reference_eps, relative_distance
from tfrobust.evaluation.evaluate import evaluate
from tfrobust.evaluation.metrics import Accuracy, wilson_interval
from tfrobust.evaluation.report import Report
from tfrobust.evaluation.suites import SUITES
from tfrobust.evaluation.uncertainty import Uncertainty, uncertainty

__all__ = [
    "SUITES",
    "Accuracy",
    "Detection",
    "LogisticDetector",
    "MixtureDetector",
    "Report",
    "Uncertainty",
    "evaluate",
    "histogram",
    "least_fgsm_eps",
    "perceptual_similarity",
    "reference_eps",
    "relative_distance",
    "uncertainty",
    "wilson_interval",
]
