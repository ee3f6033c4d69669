"""Hypothesis strategies: what users give for data, masks, noise, settings and problems, right or wrong."""

from dataclasses import fields
from typing import get_args

import numpy as np
import torch
from hypothesis import strategies as st

from eitdip.data import Gaussian, Poisson
from eitdip.imaging import SparseOperator
from tests.cases.images import identity

KINDS = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "int64", "uint64", "float16", "float32", "float64",
    "longdouble", "complex64", "complex128", ">f4", ">i2", "object", "U3", "datetime64[s]",
)  # fmt: skip
# Sizes at which squares, sums and types of fewer bits give up.
SIZES = (0.0, 1.0, 1e-320, 1e-200, 1e-30, 3e4, 1e30, 1e200, 1e308)
JUNK = (
    lambda: 1, None, "", "x", b"x", (), [], {}, object(), 1, -1, 0, True, 1.5, float("nan"), float("inf"), 10**400,
    2**70, 1j, "1", [[1, 2], [3]], [None], ["a"], np.float64(2), np.int64(3), np.array([]), np.array(2.0),
    torch.tensor(1.0), int,
)  # fmt: skip

junk = st.sampled_from(JUNK)
shapes = st.sampled_from([(), (0,), (1,), (3,), (4, 5), (8, 8), (1, 8), (8, 0), (3, 8, 8), (2, 1, 1), (1, 1, 1, 2)])


@st.composite
def arrays(draw, shape=None):
    """Numbers of any type and size, now and then NaN or infinite; also lists, tensors and masked arrays."""
    shape = draw(shapes) if shape is None else shape
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    values = rng.uniform(-1, 1, shape) * draw(st.sampled_from(SIZES))
    if draw(st.booleans()):
        values = np.abs(np.rint(np.clip(values, -1e6, 1e6)))
    values = np.array(values)
    if values.size and draw(st.integers(0, 3)) == 0:
        values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.5]))
    kind = draw(st.sampled_from(KINDS))
    with np.errstate(all="ignore"):
        finite = np.nan_to_num(values, posinf=9, neginf=-9).clip(-(2.0**30), 2.0**30)
        values = (finite if np.dtype(kind).kind in "iuM" else values).astype(kind)
    form = draw(st.sampled_from(["array", "array", "array", "list", "tensor", "half", "sparse", "masked", "columns"]))
    if form == "list":
        return values.tolist()
    if form == "masked":
        return np.ma.masked_array(values, mask=rng.random(shape) < 0.5)
    if form == "columns":
        return np.asfortranarray(values)[..., ::-1] if values.ndim else values
    if form != "array" and values.dtype.kind in "iufcb" and values.dtype.isnative and values.dtype.itemsize < 16:
        tensor = torch.from_numpy(np.array(values))
        if form == "half" and tensor.is_floating_point():
            return tensor.to(torch.bfloat16)
        if form == "sparse" and tensor.ndim and kind == "float64":
            return tensor.to_sparse()
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor
    return values


@st.composite
def masks(draw, shape):
    """Masks of any type, right or wrong."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(junk, arrays()))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    mask = rng.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))
    kind = draw(st.sampled_from(["bool", "uint8", "int64", "float32", "float64"]))
    return (mask * draw(st.sampled_from([1, 1, 255, 2]))).astype(kind)


@st.composite
def noises(draw, shape):
    """Gaussian and Poisson, each made when it is called, as that may fail."""
    given = draw(st.one_of(st.just(None), st.sampled_from([0.1, 1.0, 3, 0]), arrays(shape), arrays(), junk))
    return draw(st.sampled_from([lambda: Gaussian(given), lambda: Poisson(given), lambda: given, Gaussian, Poisson]))


@st.composite
def of_data(draw):
    """Arguments of Data: a function that makes its noise, and the others."""
    shape = draw(shapes)
    values = draw(st.one_of(arrays(shape), arrays(shape), arrays(), junk))
    tied = draw(st.one_of(st.just(()), st.just((0,)), st.just((0,)), junk))
    provenance = draw(st.one_of(st.just({}), st.just({"a": (1, {"b": [1.5]})}), junk))
    mask = draw(st.one_of(st.just(None), masks(shape)))
    return draw(noises(shape)), {"values": values, "mask": mask, "tied": tied, "provenance": provenance}


@st.composite
def models(draw):
    """Small operators, and what is none."""
    shape = draw(st.sampled_from([(8, 8), (4, 5), (3, 8, 8), (1, 1), (2, 2)]))
    made: SparseOperator | object = identity(shape, draw(st.sampled_from(["float32", "float64"])))
    return draw(st.one_of(st.just(made), st.just(made), st.just(made), junk)), shape


@st.composite
def values_of(draw, known):
    """A value for a field of a settings class: mostly of its type, near its limits or beyond."""
    kinds = [kind for kind in (get_args(known.type) or (known.type,)) if kind is not type(None)]
    limits = known.metadata
    near = [bound for name in ("least", "most", "above", "below") if (bound := limits[name]) is not None]
    of_kind = {
        int: st.one_of(st.integers(-2, 12), st.sampled_from([*map(int, near), 2**31, 2**63, 10**30])),
        float: st.one_of(st.floats(), st.floats(0, 10), st.sampled_from([*near, 0.5, 1])),
        bool: st.booleans(),
        str: st.sampled_from([*limits["choices"], "", "none"]),
    }
    return draw(st.one_of(*[of_kind[kind] for kind in kinds * 3], st.just(None), junk))


@st.composite
def settings_of(draw, *owners, count: int = 6):
    """Names and values of some settings of some classes, and now and then of none."""
    known = {each.name: each for owner in owners for each in fields(owner)}
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=count, unique=True))
    chosen = {name: draw(values_of(known[name])) for name in names}
    return chosen | draw(st.sampled_from([{}] * 9 + [{"stps": 3}]))
