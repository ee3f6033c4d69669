"""CHOLMOD as a skilled user has it: supernodal, METIS ordering, analyzed once, blocks of right-hand sides.

The entries are scattered into one sparse pattern that is kept; the factor of the forward problem serves the
adjoints, which are K more right-hand sides. CVXOPT brings CHOLMOD (with ATLAS), but solves column by column, so
the block solve is called in the library itself.
"""

import ctypes
from pathlib import Path

import cvxopt
import numpy as np
import pymetis
from cvxopt import cholmod
from electrodes import Electrodes
from scipy import sparse


class Peer:
    def __init__(self, problem):
        self.system = system = Electrodes(problem)
        rows = np.repeat(system.cells, 3, axis=1).ravel()
        columns = np.tile(system.cells, (1, 3)).ravel()
        self._lower = rows >= columns
        fixed = sparse.tril(system.constant).tocoo()
        size = np.int64(system.size)  # 64 bits, or size * size overflows
        keys = columns[self._lower] * size + rows[self._lower]
        fixed_keys = fixed.col * size + fixed.row
        pattern = np.unique(np.concatenate([keys, fixed_keys]))
        self._place = np.searchsorted(pattern, keys)
        self._constant = np.zeros(len(pattern))
        np.add.at(self._constant, np.searchsorted(pattern, fixed_keys), fixed.data)
        rows, columns = pattern % size, pattern // size
        self._matrix = cvxopt.spmatrix(cvxopt.matrix(self._constant), cvxopt.matrix(rows), cvxopt.matrix(columns))
        self._factor = cholmod.symbolic(self._matrix, cvxopt.matrix(_ordering(rows, columns, system.size)))
        self._library = _Library()

    def _factorize(self, sigma):
        entries = (sigma[:, None, None] * self.system.tensors).ravel()[self._lower]
        values = np.bincount(self._place, entries, minlength=len(self._constant)) + self._constant
        self._matrix.V = cvxopt.matrix(values)
        cholmod.numeric(self._matrix, self._factor)

    def _solve(self, patterns):
        return self._library.solve(self._factor, self.system.right_hand_sides(patterns))

    def forward(self, sigma):
        self._factorize(sigma)
        return self.system.voltages(self._solve(self.system.currents))

    def gradient(self, sigma, weight):
        self._factorize(sigma)
        state = self._solve(self.system.currents)
        adjoint = self._solve(self.system.adjoint_currents(weight))
        return self.system.voltages(state), self.system.gradient(state, adjoint)


def _ordering(rows, columns, size):
    """Nested dissection of the graph of the matrix."""
    off = rows != columns
    half = sparse.csr_array((np.ones(off.sum()), (rows[off], columns[off])), shape=(size, size))
    graph = (half + half.T).tocsr()
    permutation, _ = pymetis.nested_dissection(pymetis.CSRAdjacency(graph.indptr, graph.indices))
    return np.array(permutation, dtype=np.int64)


class _Dense(ctypes.Structure):
    """cholmod_dense of SuiteSparse."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("rows", "columns", "entries", "leading")),
        ("x", ctypes.c_void_p),
        ("z", ctypes.c_void_p),
        ("xtype", ctypes.c_int),
        ("dtype", ctypes.c_int),
    )


class _Library:
    """The block solve of the CHOLMOD that CVXOPT has loaded."""

    def __init__(self):
        folder = Path(cvxopt.__file__).parent.parent / "cvxopt.libs"
        self._lib = ctypes.CDLL(next(folder.glob("libcholmod*.so*")))
        self._lib.cholmod_l_solve.restype = ctypes.POINTER(_Dense)
        self._common = ctypes.create_string_buffer(1 << 16)  # more than cholmod_common needs
        self._lib.cholmod_l_start(self._common)
        self._pointer = ctypes.pythonapi.PyCapsule_GetPointer
        self._pointer.restype, self._pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        self._name = ctypes.pythonapi.PyCapsule_GetName
        self._name.restype, self._name.argtypes = ctypes.c_char_p, [ctypes.py_object]

    def solve(self, factor, right):
        rows, columns = right.shape
        real = 1
        b = _Dense(rows, columns, right.size, rows, right.ctypes.data, None, real, 0)
        pointer = ctypes.c_void_p(self._pointer(factor, self._name(factor)))
        x = self._lib.cholmod_l_solve(0, pointer, ctypes.byref(b), self._common)
        data = ctypes.cast(x.contents.x, ctypes.POINTER(ctypes.c_double))
        solution = np.ascontiguousarray(np.ctypeslib.as_array(data, shape=(columns, rows)).T)
        self._lib.cholmod_l_free_dense(ctypes.byref(x), self._common)
        return solution
