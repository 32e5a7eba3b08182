"""Export to TFLite, proven by running the file."""

from tfrobust.export.interpreter import TFLiteModel
from tfrobust.export.tflite import ExportReport, to_tflite

__all__ = ["ExportReport", "TFLiteModel", "to_tflite"]
