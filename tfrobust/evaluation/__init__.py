"""Honest evaluation: accuracies with intervals, worst case per image, reports."""

from tfrobust.evaluation.evaluate import evaluate
from tfrobust.evaluation.metrics import Accuracy, wilson_interval
from tfrobust.evaluation.report import Report
from tfrobust.evaluation.suites import SUITES

__all__ = ["SUITES", "Accuracy", "Report", "evaluate", "wilson_interval"]
