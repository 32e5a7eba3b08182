"""Keras layers: quantized activations, quantized convolution and dense, input standardisation, MC dropout.

`quantize` puts them into any Keras model; `summary` counts what a model costs.
"""

from tfrobust.layers.activations import DQA, SQA, FixedQuantizedActivation
from tfrobust.layers.changes import Change, Plan
from tfrobust.layers.costs import LayerCost, Summary, summary
from tfrobust.layers.elementwise import QuantizedActivation, QuantizedGradient
from tfrobust.layers.noise import noise_source
from tfrobust.layers.preparation import MCDropout, Standardize
from tfrobust.layers.quantized import QuantConv2D, QuantDense, QuantDepthwiseConv2D, QuantSeparableConv2D
from tfrobust.layers.surgery import quantization_plan, quantize

__all__ = [
    "DQA",
    "SQA",
    "Change",
    "FixedQuantizedActivation",
    "LayerCost",
    "MCDropout",
    "Plan",
    "QuantConv2D",
    "QuantDense",
    "QuantDepthwiseConv2D",
    "QuantSeparableConv2D",
    "QuantizedActivation",
    "QuantizedGradient",
    "Standardize",
    "Summary",
    "noise_source",
    "quantization_plan",
    "quantize",
    "summary",
]
