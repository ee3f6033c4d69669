"""Versions of everything that can change a result."""

import platform
from functools import cache
from importlib import metadata

from eitdip import __version__

_PACKAGES = (
    "fenics-dolfinx", "dolfinx-solver-real", "petsc4py", "mpi4py", "torch", "numpy", "scipy", "gmsh", "meshio",
    "deepinv", "astra-toolbox", "finufft",
)  # fmt: skip


@cache
def versions() -> dict[str, str]:
    """Package to version, of those that are installed."""
    found = {"eitdip": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
