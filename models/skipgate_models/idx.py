"""The IDX format in which MNIST is published: a typed array with its shape, big-endian, gzipped.

Header: two zero bytes, the element type (0x08 = unsigned byte, the only one here), the number of dimensions, then
each dimension as a 32-bit integer. The elements follow in C order.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipgate_models.files import replacing

_UNSIGNED_BYTE = 0x08


def write(path: Path, array: NDArray[np.uint8]) -> None:
    """Write `array`; equal arrays give equal files (no time and no name in the gzip header)."""
    header = struct.pack(f">HBB{array.ndim}I", 0, _UNSIGNED_BYTE, array.ndim, *array.shape)
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0))


def read(path: Path) -> NDArray[np.uint8]:
    """Read an array of unsigned bytes; `ValueError` if the file is something else."""
    data = gzip.decompress(path.read_bytes())
    zero, element_type, rank = struct.unpack_from(">HBB", data)
    if zero != 0 or element_type != _UNSIGNED_BYTE:
        raise ValueError(f"{path}: expected an IDX file of unsigned bytes, found the header {data[:4].hex()}")
    shape = struct.unpack_from(f">{rank}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
