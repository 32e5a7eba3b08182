"""Integer kernels that are drawn at each call: the values that Keras draws, as often as Keras draws them."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfrobust.export import flatbuffer

HAVE_KERNEL = ("CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_MATMUL")  # as second input; dense layers are the last of these
KEEP_SCALE = ("TRANSPOSE", "RESHAPE")  # operations whose output must have the scale of their input
LOWEST, LARGEST = -128, 127
STEPS = 254  # of noise: one fewer than int8 has, so that a threshold can lie above all of it


def with_exact_draws(content):
    """Give int8 kernels that are computed from noise the scales that they need.

    The converter treats such a kernel as an activation, whose values may be half a step off. An error that all values
    of a kernel share is multiplied by the sum of its inputs, and shifts what ReLU sees: kernels of -1 and +1 that were
    0.005 too low took a sixth of the spread of an untrained network's logits. So here truth values are exactly 0 and
    1, the values of kernels are symmetric (the interpreter refuses convolutions else), and noise falls below a
    threshold as often as it shall.
    """
    file = flatbuffer.read(content, "int8")
    graph, codes = file.subgraphs[0], flatbuffer.codes(file)
    maker = {index: (codes[op.opcodeIndex], op) for op in graph.operators for index in op.outputs}
    thresholds = set()
    for operator in graph.operators:
        kernel = operator.inputs[1] if codes[operator.opcodeIndex] in HAVE_KERNEL else None
        behind = _behind(kernel, maker)
        if "RANDOM_UNIFORM" in (name for name, _ in behind) and not _reads(behind, graph.inputs):
            ratio = _make_symmetric(graph, kernel, maker)
            _rescale_bias(file, graph, operator, ratio)
            thresholds.update(_make_exact(graph, behind, maker))
    for index in thresholds:
        _make_unbiased(file, graph, graph.tensors[index])
    return flatbuffer.write(file)


def _behind(index, maker):
    """The operations, by name, that a tensor is computed by."""
    found, waiting = {}, [index]
    while waiting:
        name, operator = maker.get(waiting.pop(), (None, None))
        if operator is not None and id(operator) not in found:
            found[id(operator)] = name, operator
            waiting.extend(operator.inputs)
    return list(found.values())


def _reads(operations, indices):
    return any(index in indices for _, operator in operations for index in operator.inputs)


def _scale(scale, zero_point):
    return schema.QuantizationParametersT(scale=np.float32([scale]), zeroPoint=np.array([zero_point], "int64"))


def _make_symmetric(graph, kernel, maker):
    """Give a kernel the zero point 0, from the operation on that computes its values; returns by what its step grew."""
    before, zero_point = graph.tensors[kernel].quantization.scale[0], graph.tensors[kernel].quantization.zeroPoint[0]
    steps = 127 + abs(zero_point + 0.5)  # from zero to the farther end of the range, 127.5 for a symmetric one
    after = before * steps / LARGEST if zero_point else before
    while True:
        graph.tensors[kernel].quantization = _scale(after, 0)
        name, operator = maker[kernel]
        if name not in KEEP_SCALE:
            return after / before
        kernel = operator.inputs[0]


def _rescale_bias(file, graph, operator, ratio):
    """Express the bias of a convolution, whose step is that of input times kernel, in steps `ratio` times as large."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return
    bias = graph.tensors[operator.inputs[2]]
    integers = file.buffers[bias.buffer].data.view("int32")
    flatbuffer.store(file, bias, np.round(integers / ratio).astype("int32").view("uint8"))
    bias.quantization.scale = bias.quantization.scale * np.float32(ratio)


def _make_exact(graph, behind, maker):
    """Give truth values and noise their own scales; returns the tensors that noise is compared with."""
    for name, operator in behind:
        made = [maker[index][0] for index in operator.inputs if index in maker]
        if (name, made) == ("QUANTIZE", ["CAST"]):
            graph.tensors[operator.outputs[0]].quantization = _scale(1 / 255, LOWEST)
        if (name, made) == ("QUANTIZE", ["RANDOM_UNIFORM"]):
            graph.tensors[operator.outputs[0]].quantization = _scale(1 / STEPS, LOWEST)
        if (name, made) == ("LESS", ["QUANTIZE"]):
            yield operator.inputs[1]


def _make_unbiased(file, graph, threshold):
    """Move probabilities p to where rounded noise is below them with probability p.

    Of `STEPS` steps, noise is rounded to fewer than k with probability `(k - 1/2) / STEPS`; to fewer than 0 never, and
    to fewer than `STEPS + 1` always.
    """
    scale, zero_point = threshold.quantization.scale[0], threshold.quantization.zeroPoint[0]
    p = (file.buffers[threshold.buffer].data.view("int8") - np.float64(zero_point)) * scale
    steps = np.clip(np.round(STEPS * p + 0.5), 1, STEPS)
    steps = np.where(p < scale / 2, 0, np.where(p > 1 - scale / 2, STEPS + 1, steps))
    flatbuffer.store(file, threshold, (steps + LOWEST).astype("int8").view("uint8"))
    threshold.quantization = _scale(1 / STEPS, LOWEST)
