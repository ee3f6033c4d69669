"""PDE-constrained electrical impedance tomography with neural conductivities.

Importing the package loads nothing heavy: each room (`eitdip.fem`, `eitdip.networks`, ...) is
imported when it is first named, so the finite-element side never pulls in torch and the network
side never pulls in DOLFINx.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = (
    "bridge", "challenges", "cli", "data", "errors", "fem", "imaging", "mesh", "metrics", "misfit", "networks",
    "objective", "operator", "parallel", "parameterization", "penalty", "phantoms", "plot",
    "reconstruction", "restoration", "simulation", "theory", "verify",
)  # fmt: skip


def __getattr__(name: str):
    if name in _ROOMS:
        return importlib.import_module(f"eitdip.{name}")
    raise AttributeError(f"module 'eitdip' has no attribute {name!r}; its rooms are: {', '.join(_ROOMS)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
