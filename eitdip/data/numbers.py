"""Numbers of any type as float64 or complex128."""

import numpy as np

from eitdip.errors import InvalidDataError


def numbers(name: str, values) -> np.ndarray:
    """A new array of float64 or complex128 from an array or tensor of any type of number.

    Raises:
        InvalidDataError: If it holds anything else, rows of different lengths, or masked entries.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InvalidDataError(f"{name}: got a masked array, whose mask would be lost; give `.filled(0)` and a mask")
    try:
        if hasattr(values, "detach"):  # a tensor; torch need not be there
            values = values.detach().cpu().resolve_conj()
            values = (values.float() if "float" in str(values.dtype) and values.element_size() < 4 else values).numpy()
        array = np.array(values)
    except Exception as error:  # whatever was given tells in its own way that it is no array
        raise InvalidDataError(
            f"{name}: got {type(values).__name__}, expected an array of numbers ({type(error).__name__}: {error})"
        ) from error
    if array.dtype.kind not in "biufc":
        raise InvalidDataError(f"{name}: got values of type {array.dtype}, expected numbers")
    with np.errstate(over="ignore"):  # what is too large for 64 bits is infinite, and refused where that matters
        return array.astype(complex if array.dtype.kind == "c" else float)


def real_numbers(name: str, values) -> np.ndarray:
    """The same of float64.

    Raises:
        InvalidDataError: As `numbers`, or if they are complex.
    """
    array = numbers(name, values)
    if np.iscomplexobj(array):
        raise InvalidDataError(f"{name}: got values of type {array.dtype}, expected real numbers")
    return array


def number(name: str, value) -> float:
    """A single real number, which may be infinite or NaN.

    Raises:
        InvalidDataError: If it is anything else.
    """
    array = real_numbers(name, value)
    if array.ndim:
        raise InvalidDataError(f"{name}: got an array of shape {array.shape}, expected one number")
    return float(array)
