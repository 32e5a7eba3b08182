"""What is known of a network before it is trained: parameters, bits, size, multiplications."""

from tfrobust import layers
from tfrobust.quantizers import AbstractQuantizer


def of(model):
    """A card's facts about a Keras model: parameters, bits of activations and weights, size, MACs.

    Raises:
        ValueError: `tfrobust.summary` cannot count the model.

    Example:
        >>> from tfrobust import architectures
        >>> facts = of(architectures.build("mlp_w2"))
        >>> facts["weight_bits"], facts["macs_by_bits"]
        (2, {'32x32': 393500, '2x32': 75000})
    """
    counted = layers.summary(model).to_dict()
    return {
        "parameters": counted["parameters"],
        "activation_bits": activation_bits(model),
        "weight_bits": _bits(getattr(layer, "kernel_quantizer", None) for layer in model.layers),
        "size_bytes": counted["bytes"],
        "size_ratio": round(counted["ratio"], 4),
        "macs": counted["macs"],
        "macs_by_bits": counted["macs_by_bits"],
    }


def activation_bits(model):
    """The lowest precision among activations; that of the images does not count (the model's name tells it)."""
    places = [place for place, layer in enumerate(model.layers) if getattr(layer, "kernel", None) is not None]
    behind = model.layers[places[0] + 1 :] if places else []
    return _bits(getattr(layer, name, None) for layer in behind for name in ("quantizer", "input_quantizer"))


def _bits(quantizers):
    """The lowest precision of some quantizers; 32 where there is none."""
    found = [quantizer.precision for quantizer in quantizers if isinstance(quantizer, AbstractQuantizer)]
    return min(found, default=32)
