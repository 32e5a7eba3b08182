"""Keras layers: quantized activations, quantized convolution and dense, input standardisation, MC dropout."""

from tfrobust.layers.activations import DQA, SQA, FixedQuantizedActivation
from tfrobust.layers.noise import noise_source
from tfrobust.layers.preparation import MCDropout, Standardize
from tfrobust.layers.quantized import QuantConv2D, QuantDense

__all__ = [
    "DQA",
    "SQA",
    "FixedQuantizedActivation",
    "MCDropout",
    "QuantConv2D",
    "QuantDense",
    "Standardize",
    "noise_source",
]
