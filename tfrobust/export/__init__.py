"""Export to TFLite, proven by running the file."""

from tfrobust.export.benchmark import Speed, benchmark
from tfrobust.export.interpreter import TFLiteModel
from tfrobust.export.metadata import metadata
from tfrobust.export.report import DeviceReport, ExportReport
from tfrobust.export.tflite import to_tflite
from tfrobust.export.verify import verify

__all__ = ["DeviceReport", "ExportReport", "Speed", "TFLiteModel", "benchmark", "metadata", "to_tflite", "verify"]
