"""All rows of a Jacobian, computed once and read back by columns; in memory, or in a scratch file.

The rows of weights-to-field are cheap by reverse mode, 32 at a time; what is needed of them are sums over weights. So
rows come in and columns go out.
"""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from math import ceil

import numpy as np
import torch
from tqdm import tqdm

from eitdip.objective.jacobian import Jacobian, raw_jacobian
from eitdip.parameterization import Parameterization
from eitdip.ranks.collectives import alone
from eitdip.ranks.failures import ending_together

_ROWS, _COLUMNS = 32, 2048  # of a block that comes in, and of one that goes out
_DOUBLE = 2**28  # bytes up to which double precision costs nothing to speak of


class Rows:
    """Rows of dg / d theta at chosen entries of the field.

    Args:
        parameterization: g at its weights theta, of which there are P.
        seen: Which entries, booleans in the shape of the field; there are n.
        comm: Ranks that share them: each computes its part of the rows and keeps its part of the columns.
        scratch: Folder for a file without a name that holds them, n P / 2^28 GiB; None keeps them in memory.
        show: Whether there is a progress bar on rank 0, on a terminal.

    Attributes:
        jacobian: The operator itself, for products with g'.
        precision: Of the numbers: double up to 256 MiB, else single.
    """

    def __init__(self, parameterization: Parameterization, seen: np.ndarray, comm=None, scratch=None, show=False):
        comm, places = comm or alone(), np.flatnonzero(seen)
        count = sum(weight.numel() for weight in parameterization.parameters() if weight.requires_grad)
        self.precision = "float64" if 8 * len(places) * count <= _DOUBLE else "float32"
        self.jacobian: Jacobian = raw_jacobian(parameterization, self.precision)
        self.count = len(places)
        edges = [*range(0, count, _COLUMNS), count]
        # Neighbouring blocks of columns belong to one rank.
        owners = [number * comm.size // (len(edges) - 1) for number in range(len(edges) - 1)]
        self._mine = [
            slice(*pair) for pair, owner in zip(pairwise(edges), owners, strict=True) if owner == comm.rank
        ]  # fmt: skip
        self._file = self._blocks = None
        if scratch is None:
            self._blocks = [np.empty((self.count, part.stop - part.start), self.precision) for part in self._mine]
        else:
            self._file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed by __exit__
        with ending_together(comm):
            self._fill(places, seen.shape, comm, edges, owners, show)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._blocks = None
        if self._file is not None:
            self._file.close()

    def columns(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of this rank's columns: where they begin and end, and the numbers, shape (n, k), float64."""
        for number, part in enumerate(self._mine):
            if self._file is None:
                block = self._blocks[number]
            else:
                self._file.seek(self._place(number, 0))
                size = self.count * (part.stop - part.start)
                block = np.fromfile(self._file, self.precision, size).reshape(self.count, -1)
            yield part, block.astype(np.float64)

    def _fill(self, places, shape, comm, edges, owners, show):
        turns = ceil(self.count / (_ROWS * comm.size))
        for turn in tqdm(range(turns), desc="rows of the Jacobian", disable=None if show and comm.rank == 0 else True):
            begins = [(turn * comm.size + rank) * _ROWS for rank in range(comm.size)]
            parts = [places[begin : begin + _ROWS] for begin in begins]
            rows = self._rows(parts[comm.rank], shape)
            shares = [
                [rows[:, edges[i] : edges[i + 1]] for i, owner in enumerate(owners) if owner == rank]
                for rank in range(comm.size)
            ]
            for begin, blocks in zip(begins, comm.alltoall(shares), strict=True):
                for number, block in enumerate(blocks):
                    self._write(number, begin, block)

    def _rows(self, places: np.ndarray, shape) -> np.ndarray:
        units = torch.zeros(len(places), int(np.prod(shape)), dtype=torch.float64, device=self.jacobian.device)
        units[range(len(places)), places] = 1
        if not len(places):
            return np.zeros((0, self.jacobian.domain.size), self.precision)
        return self.jacobian.adjoint(units.reshape(-1, *shape)).cpu().numpy()

    def _write(self, number: int, begin: int, block: np.ndarray) -> None:
        if self._file is None:
            self._blocks[number][begin : begin + len(block)] = block
        else:
            self._file.seek(self._place(number, begin))
            np.ascontiguousarray(block).tofile(self._file)
            self._file.flush()

    def _place(self, number: int, row: int) -> int:
        """Byte at which a row of a block of columns begins."""
        before = sum(part.stop - part.start for part in self._mine[:number]) * self.count
        width = self._mine[number].stop - self._mine[number].start
        return (before + row * width) * np.dtype(self.precision).itemsize
