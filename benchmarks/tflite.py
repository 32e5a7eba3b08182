"""TFLite files beside each other: latency on one and two threads, in turns, and size, as ratios.

Run `make benchmarks` while nothing else runs. Prints a table and exits with 1 if int8 `lenet_dqa2` misses its bound
against float `lenet`: no slower on one thread, at most 27 % of its size.
"""

import pathlib
import sys
import tempfile

import rich.console
import rich.table

from tfrobust import architectures, data, export, zoo
from tfrobust.export.convert import convert

RUNS = 500
TRAINED = ("lenet_in1_w4",)  # training decides how many of its levels a kernel uses
FILES = (  # network, mode; the first is what the others are held against
    ("lenet", None),
    ("lenet", "int8"),
    ("lenet_dqa2", None),
    ("lenet_dqa2", "int8"),
    ("lenet_in1_w4", "int8"),
    ("lenet_in1_w4", "packed"),
    ("lenet_bnn", "int8"),
    ("lenet_bnn", "packed"),
)
BOUND = ("lenet_dqa2", "int8", 1.0, 0.27)  # network, mode, most time, most bytes


def speeds(folder):
    """`Speed` of each file."""
    calibration = data.load("digits", "train", 100).pixels()
    paths = [pathlib.Path(folder) / f"{name}.{quantize or 'float32'}.tflite" for name, quantize in FILES]
    for path, (name, quantize) in zip(paths, FILES, strict=True):
        model = zoo.load(name) if name in TRAINED else architectures.build(name)
        path.write_bytes(convert(model, quantize, calibration))
    return export.benchmark(*paths, runs=RUNS)


def main():
    table = rich.table.Table("file", "time, 1 thread", "time, 2 threads", "bytes", title="over float32 lenet")
    with tempfile.TemporaryDirectory() as folder:
        measured = speeds(folder)
    first, missed = measured[0], False
    for speed, (name, quantize) in zip(measured, FILES, strict=True):
        times = [speed.milliseconds[threads] / first.milliseconds[threads] for threads in speed.milliseconds]
        size = speed.bytes / first.bytes
        table.add_row(f"{name} {quantize or 'float32'}", *(f"{time:.2f}" for time in times), f"{size:.3f}")
        missed |= (name, quantize) == BOUND[:2] and (times[0] > BOUND[2] or size > BOUND[3])
    rich.console.Console().print(table)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
