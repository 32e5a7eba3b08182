"""TFLite flatbuffers as objects: only whole files are read, and what is written can be mapped into memory."""

import struct

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of buffers, as the schema demands; the generated Python code alone would not keep it
UNREADABLE = (struct.error, IndexError, ValueError, TypeError, AttributeError, MemoryError, OverflowError)


class _Builder(flatbuffers.Builder):
    """A builder that aligns the bytes of buffers."""

    def StartVector(self, elemSize, numElems, alignment):
        return super().StartVector(elemSize, numElems, ALIGNMENT if elemSize == 1 else alignment)


def read(content, path):
    """The `schema.ModelT` in the bytes of a file.

    Raises:
        ValueError: the bytes are not those of a TFLite file, or not all of them.
    """
    refusal = f"the file must be a whole TFLite flatbuffer. Received: path={str(path)!r}"
    if content[4:8] != IDENTIFIER:
        raise ValueError(refusal)
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except UNREADABLE as error:
        raise ValueError(refusal) from error


def write(model):
    """Bytes of a file."""
    builder = _Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def store(model, tensor, data):
    """Change the bytes of a constant, but not those of an equal one that shares its buffer."""
    if sum(other.buffer == tensor.buffer for other in model.subgraphs[0].tensors) > 1:
        model.buffers.append(schema.BufferT())
        tensor.buffer = len(model.buffers) - 1
    model.buffers[tensor.buffer].data = data


def codes(model):
    """Names of the operations by their index; a custom one (Flex) has its own name."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    # Old files hold the code in a byte, new ones in an integer; the larger of the two is the code.
    builtin = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    custom = [code.customCode for code in model.operatorCodes]
    return [extra.decode() if extra else name for name, extra in zip(builtin, custom, strict=True)]


def operations(content, path=""):
    """Sorted names of the operations in the bytes of a file."""
    return sorted(set(codes(read(content, path))))
