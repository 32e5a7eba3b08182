"""Which images give integers their ranges: one strange image must not coarsen the arithmetic of all others."""

import keras
import numpy as np

from tfrobust.layers import graph, noise_source

# Times the median image's range. Of 1,000 held-out images the int8 file of `resnet18.cifar10_fgsm` gave 10 another
# label for want of precision when 500 training images (one 32 times the usual) set its ranges, 1 without the 19 beyond
# 3. No other network of the zoo loses more than one image of 500.
OUTLYING = 3.0
BATCH = 10  # the outputs of all layers are in memory at once


def typical(model, images):
    """The images without those whose activations reach far beyond the usual in some layer.

    Formula: `max_l p_il / median_j p_jl <= 3`, where `p_il` is the largest |output| of layer `l` for image `i`.

    Args:
        model: `keras.Model` from images to logits.
        images: `[n, height, width, channels]`.

    Returns:
        Images `[m, height, width, channels]`, m <= n; all of them where most are unlike each other, or where a
        model is neither functional nor sequential, whose layers nobody can see.

    Example:
        >>> from tfrobust import architectures, data
        >>> images = 0.1 * data.load("digits", "train", 20).pixels()
        >>> images[7] *= 10
        >>> typical(architectures.build("mlp"), images).shape[0]
        19
    """
    if not graph.is_graph(model):
        return images
    peaks = np.concatenate([_peaks(model, images[start : start + BATCH]) for start in range(0, len(images), BATCH)])
    usual = np.median(peaks, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # a layer silent for most images says nothing of the others
        ratios = np.where(usual > 0, peaks / usual, 0.0)
    kept = ratios.max(axis=-1) <= OUTLYING
    return images[kept] if 2 * kept.sum() >= len(images) else images


def _peaks(model, images):
    """Largest absolute output of each layer for each image, `[images, layers]`."""
    peaks, draws = [], keras.random.SeedGenerator(0)

    def call(layer, *args, **kwargs):
        if graph.is_graph(layer):
            return graph.run(layer, args, call)
        outputs = layer(*args, **kwargs)
        for output in keras.tree.flatten(outputs):
            values = np.abs(keras.ops.convert_to_numpy(output).astype("float32"))
            peaks.append(values.reshape(len(images), -1).max(axis=-1))
        return outputs

    # Draws of its own: those of the model come out as if nobody had looked.
    with noise_source(lambda shape, seed_generator: keras.random.uniform(shape, seed=draws)):
        graph.run(model, [keras.ops.convert_to_tensor(images)], call)
    return np.stack(peaks, axis=-1)
