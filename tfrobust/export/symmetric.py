"""Integer convolutions with a kernel that is drawn at each call: its zero point must be 0, as that of a constant is."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfrobust.export import flatbuffer

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
KEEP_SCALE = ("TRANSPOSE", "RESHAPE")  # operations whose output must have the scale of their input
LARGEST = 127


def with_symmetric_kernels(content):
    """Give int8 kernels that operations compute the scale and zero point that convolutions ask for.

    The converter treats such a kernel as an activation: values in [-1, 1] get the zero point -1, and the interpreter
    refuses the file. Here the operation that computes them gets the symmetric scale of the same range as its output,
    and the bias, whose scale is the product of input and kernel, follows.
    """
    file = flatbuffer.read(content, "int8")
    graph, codes = file.subgraphs[0], flatbuffer.codes(file)
    maker = {index: operator for operator in graph.operators for index in operator.outputs}
    for operator in graph.operators:
        kernel = operator.inputs[1] if codes[operator.opcodeIndex] in CONVOLUTIONS else None
        if kernel not in maker or graph.tensors[kernel].type != schema.TensorType.INT8:
            continue
        before = graph.tensors[kernel].quantization.scale[0]
        zero_point = graph.tensors[kernel].quantization.zeroPoint[0]
        steps = 127 + abs(zero_point + 0.5)  # from zero to the farther end of the range, 127.5 for a symmetric one
        after = before * steps / LARGEST
        _rescale_bias(file, graph, operator, after / before)
        while True:
            graph.tensors[kernel].quantization = schema.QuantizationParametersT(
                scale=np.float32([after]), zeroPoint=np.zeros(1, "int64")
            )
            if codes[maker[kernel].opcodeIndex] not in KEEP_SCALE:
                break
            kernel = maker[kernel].inputs[0]
    return flatbuffer.write(file)


def _rescale_bias(file, graph, operator, ratio):
    """Express the bias of a convolution in steps that are `ratio` times as large."""
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return
    bias = graph.tensors[operator.inputs[2]]
    buffer = file.buffers[bias.buffer]
    buffer.data = np.round(buffer.data.view("int32") / ratio).astype("int32").view("uint8")
    bias.quantization.scale = bias.quantization.scale * np.float32(ratio)
