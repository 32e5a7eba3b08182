"""What residual networks of both kinds share."""

import keras


def blocks_of(stages):
    """`(stage, block, strides)` of every block in order; each stage but the first halves the image."""
    for stage, n in enumerate(stages):
        for block in range(n):
            yield stage, block, 2 if stage > 0 and block == 0 else 1


def padded(x, filters, strides, label, window=1):
    """Shortcut without weights: every `strides`-th position (or the mean of a window), and channels of zeros."""
    if strides > 1:
        x = keras.layers.AveragePooling2D(window, strides, name=f"pool_{label}_shortcut")(x)
    missing = filters - x.shape[-1]
    if missing == 0:
        return x
    # Read as [batch, channels, height, width], the last axis of our images is what gets padded.
    padding = ((0, 0), (missing // 2, missing - missing // 2))
    return keras.layers.ZeroPadding2D(padding, data_format="channels_first", name=f"pad_{label}_shortcut")(x)
