"""Low-bit storage: quantized kernels of a float file at their own bits, exactly."""

from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfrobust import checks
from tfrobust.export import flatbuffer
from tfrobust.layers.graph import layers_of

CHANNEL_AXIS = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}  # of a stored kernel's output channels
TYPES = {2: schema.TensorType.INT2, 4: schema.TensorType.INT4, 8: schema.TensorType.INT8}
LARGEST_WORD = 256  # a packed word is a byte
DEQUANTIZE_VERSION = 6  # reads 2 and 4 bits, and a scale per channel


class Kernel(NamedTuple):
    """A kernel as a file holds it: `scale[channel] * levels[codes]`.

    `codes` has the stored shape; `scale` is 1 but for the channel axis; `levels` ascend.
    """

    codes: np.ndarray
    levels: np.ndarray
    scale: np.ndarray
    axis: int


def pack(content, model):
    """Store the deterministically quantized kernels of a float file at their bits.

    Where a kernel's levels lie on a grid that a type has room for, it becomes int2, int4 or int8 with a scale per
    channel, which the interpreter dequantizes once, when it loads the file. Else (binary weights, for which there is
    no type) as many levels as a byte can tell apart are packed into each byte, and a lookup (GATHER) unpacks them at
    each call. The fewest bits win; a tie goes to the type. Either way the values stay what they were.

    Args:
        content: bytes of the float32 file of `model`.
        model: `keras.Model` whose quantized layers say which kernels have few levels.

    Returns:
        Bytes of the file.

    Raises:
        ValueError: the model has no kernel of few levels.
    """
    file = flatbuffer.read(content, model.name)
    candidates = list(_quantized_kernels(model))
    editor = _Editor(file)
    packed = {}  # one tensor for a layer that is called again
    for operator, name in zip(editor.graph.operators, editor.names(), strict=True):
        if name in CHANNEL_AXIS:
            read, index, *rest = operator.inputs
            if index not in packed:
                packed[index] = _packed(editor, index, CHANNEL_AXIS[name], candidates)
            operator.inputs = np.array([read, packed[index], *rest], "int32")
    checks.require(editor.inserted, "packed needs a model with kernels of at most 256 levels.", model=model.name)
    return editor.content()


def _quantized_kernels(model):
    """Values of each deterministically quantized kernel, in the layouts that a file may hold."""
    for layer in layers_of(model):
        quantizer = getattr(layer, "kernel_quantizer", None)
        if quantizer is None or quantizer.random:
            continue
        variables = [getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
        for variable in (variable for variable in variables if variable is not None):
            values = np.asarray(quantizer(variable), "float32")
            yield values.T if values.ndim == 2 else np.transpose(values, (3, 0, 1, 2))
            if values.ndim == 4:
                yield values.reshape(1, *values.shape[:2], -1)  # depthwise


def _match(stored, axis, values):
    """The `Kernel` that `stored` is if it is `values` times a scale per channel (normalization is folded in)."""
    levels = np.unique(values)
    if values.shape != stored.shape or len(levels) > LARGEST_WORD:
        return None
    others = tuple(i for i in range(stored.ndim) if i != axis)
    square = np.square(values).sum(axis=others, keepdims=True)
    scale = (stored * values).sum(axis=others, keepdims=True) / np.where(square == 0, 1, square)
    if not np.allclose(stored, values * scale, rtol=1e-5, atol=1e-6 * np.abs(stored).max()):
        return None
    return Kernel(np.searchsorted(levels, values), levels, scale.astype("float32"), axis)


def _packed(editor, index, axis, candidates):
    """Store a constant kernel at its bits; returns the index of the tensor of its values."""
    stored = editor.kernel(index)
    matches = () if stored is None else (_match(stored, axis, values) for values in candidates)
    kernel = next(filter(None, matches), None)
    if kernel is None:
        return index
    digits = max(n for n in range(1, 9) if len(kernel.levels) ** n <= LARGEST_WORD)
    grid = _grid(kernel.levels)
    if grid is not None and grid[0] <= 8 / digits and kernel.scale.min() > 0:
        return _as_type(editor, index, kernel, *grid)
    return _as_words(editor, index, kernel, digits)


def _grid(levels):
    """`(bits, integers, step)` with `levels = integers * step`, in the smallest type with room; None if in none."""
    gap = np.diff(levels).min() if len(levels) > 1 else 1.0
    for step in (gap, gap / 2):
        integers = np.round(levels / step)
        if np.allclose(integers * step, levels, rtol=1e-5, atol=1e-6 * step):
            for bits in TYPES:
                if -(2 ** (bits - 1)) <= integers.min() and integers.max() < 2 ** (bits - 1):
                    return bits, integers.astype("int8"), step
    return None


def _as_type(editor, index, kernel, bits, integers, step):
    """Turn the tensor into one of `bits` bits; returns the tensor of its values."""
    tensor = editor.graph.tensors[index]
    floats = editor.tensor(tensor.shape)
    tensor.type = TYPES[bits]
    tensor.quantization = schema.QuantizationParametersT(
        scale=kernel.scale.ravel() * np.float32(step),
        zeroPoint=np.zeros(kernel.scale.size, "int64"),
        quantizedDimension=kernel.axis,
    )
    bits_alone = integers[kernel.codes].view("uint8") & (2**bits - 1)
    flatbuffer.store(editor.file, tensor, _words(bits_alone, 8 // bits, 2**bits))
    return editor.insert("DEQUANTIZE", [index], floats, version=DEQUANTIZE_VERSION)


def _as_words(editor, index, kernel, digits):
    """Turn the tensor into words of `digits` codes each; returns the tensor of the values that they stand for."""
    base, shape = len(kernel.levels), kernel.codes.shape
    tensor, words = editor.graph.tensors[index], _words(kernel.codes, digits, base)
    tensor.type, tensor.shape = schema.TensorType.UINT8, np.array(words.shape, "int32")
    flatbuffer.store(editor.file, tensor, words)
    table = kernel.levels[np.arange(base**digits)[:, None] // base ** np.arange(digits) % base]
    to_integers = schema.CastOptionsT(schema.TensorType.UINT8, schema.TensorType.INT32)
    integers = editor.insert("CAST", [index], editor.tensor(words.shape, schema.TensorType.INT32), to_integers)
    rows = [editor.constant(table), integers]
    values = editor.insert("GATHER", rows, editor.tensor((len(words), digits)), schema.GatherOptionsT())
    if words.size * digits > kernel.codes.size:  # the last word is not full
        flat = editor.reshape(values, (words.size * digits,))
        part = [flat, editor.constant(np.zeros(1, "int32")), editor.constant(np.array([kernel.codes.size], "int32"))]
        values = editor.insert("SLICE", part, editor.tensor((kernel.codes.size,)), schema.SliceOptionsT())
    values = editor.reshape(values, shape)
    return editor.insert("MUL", [values, editor.constant(kernel.scale)], editor.tensor(shape), schema.MulOptionsT())


def _words(codes, digits, base):
    """`digits` numbers below `base` in each byte, the first one lowest."""
    padded = np.zeros(-(-codes.size // digits) * digits, "int64")
    padded[: codes.size] = codes.ravel()
    return (padded.reshape(-1, digits) * base ** np.arange(digits)).sum(axis=1).astype("uint8")


class _Editor:
    """Adds tensors and operations to the first subgraph of a file; what is inserted runs before the rest."""

    def __init__(self, file):
        self.file, self.graph, self.inserted = file, file.subgraphs[0], []
        self._constants = {}

    def names(self):
        """Name of each operation, in order."""
        codes = flatbuffer.codes(self.file)
        return [codes[operator.opcodeIndex] for operator in self.graph.operators]

    def kernel(self, index):
        """Values of a float constant; None if the tensor is something else."""
        tensor = self.graph.tensors[index]
        data = self.file.buffers[tensor.buffer].data
        is_constant = data is not None and tensor.type == schema.TensorType.FLOAT32
        return data.view("float32").reshape(tensor.shape) if is_constant else None

    def tensor(self, shape, type=schema.TensorType.FLOAT32, buffer=0):
        """Index of a new tensor."""
        name = f"packed_{len(self.graph.tensors)}"
        self.graph.tensors.append(schema.TensorT(np.array(shape, "int32"), type, buffer, name))
        return len(self.graph.tensors) - 1

    def constant(self, values):
        """Index of a constant tensor; equal constants are one."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            self.file.buffers.append(schema.BufferT(np.frombuffer(key[2], "uint8")))
            type = schema.TensorType.FLOAT32 if values.dtype == np.float32 else schema.TensorType.INT32
            self._constants[key] = self.tensor(values.shape, type, len(self.file.buffers) - 1)
        return self._constants[key]

    def reshape(self, values, shape):
        """Index of a tensor of the same values in another shape."""
        options, target = schema.ReshapeOptionsT(list(shape)), self.constant(np.array(shape, "int32"))
        return self.insert("RESHAPE", [values, target], self.tensor(shape), options)

    def insert(self, name, inputs, output, options=None, version=1):
        """Add an operation; returns its output."""
        options = schema.DequantizeOptionsT() if options is None else options
        kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        arrays = np.array(inputs, "int32"), np.array([output], "int32")
        operator = schema.OperatorT(self._code(name, version), *arrays, kind, options)
        self.inserted.append(operator)
        return output

    def _code(self, name, version):
        """Index of an operation's code, added if the file does not have it."""
        code = getattr(schema.BuiltinOperator, name)
        self.file.operatorCodes.append(schema.OperatorCodeT(min(code, 127), None, version, code))
        return len(self.file.operatorCodes) - 1

    def content(self):
        """Bytes of the edited file."""
        self.graph.operators = self.inserted + list(self.graph.operators)
        return flatbuffer.write(self.file)
