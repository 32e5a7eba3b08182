"""What can be read off a model before it is attacked: which quantizers it has, and what follows for the attacker."""

from tfrobust.layers.graph import layers_of
from tfrobust.quantizers import AbstractQuantizer, DoReFaActivations, surrogates

PLACES = ("quantizer", "input_quantizer", "kernel_quantizer")


def quantizers_of(model):
    """All quantizers that a model's activations pass through, and those of its kernels."""
    found = [getattr(layer, place, None) for layer in layers_of(model) for place in PLACES]
    return [quantizer for quantizer in found if isinstance(quantizer, AbstractQuantizer)]


def other_surrogates(model):
    """Pseudo-derivatives, other than its own, by which a quantized model can be differentiated; none if it is float."""
    own = {quantizer.surrogate for quantizer in quantizers_of(model)}
    return tuple(name for name in surrogates.SURROGATES if own and own != {name})


def input_bits(model):
    """Bits that a Keras model rounds its images to before or in its first layer with weights; None for all others."""
    for layer in layers_of(model):
        found = [getattr(layer, place, None) for place in ("quantizer", "input_quantizer")]
        if rounding := [quantizer for quantizer in found if isinstance(quantizer, DoReFaActivations)]:
            return rounding[0].bits
        if getattr(layer, "kernel", None) is not None or isinstance(found[0], AbstractQuantizer):
            return None
    return None


def has_layer(model, *kinds):
    """Whether a model holds a layer whose class has one of these names."""
    return any(type(layer).__name__ in kinds for layer in layers_of(model))


def classes_of(model):
    """Number of classes of a Keras model; None for any other callable."""
    shape = getattr(model, "output_shape", None)
    return shape[-1] if isinstance(shape, tuple) else None
