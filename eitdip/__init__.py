"""Inverse problems with neural unknowns: impedance tomography by finite elements, and linear imaging.

    solution = eitdip.solve(eitdip.load("tank.h5"), "dip-tv", seed=0)

Importing the package loads nothing heavy: each room (`eitdip.fem`, `eitdip.networks`, ...) is
imported when it is first named, so the finite-element side never pulls in torch and images
never pull in DOLFINx.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = (
    "challenges", "classical", "cli", "cost", "data", "errors", "fem", "imaging", "mesh", "methods", "metrics",
    "networks", "neural_pde", "objective", "operator", "parameterization", "phantoms", "plot", "problems", "ranks",
    "reconstruction", "runs", "settings", "supervised", "theory", "verify", "writing",
)  # fmt: skip
_FRONT = {"load": "eitdip.problems.load", "solve": "eitdip.runs.session"}


def __getattr__(name: str):
    if name in _FRONT:
        return getattr(importlib.import_module(_FRONT[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"eitdip.{name}")
    raise AttributeError(
        f"module 'eitdip' has no attribute {name!r}; it has {', '.join(_FRONT)}, and its rooms are: {', '.join(_ROOMS)}"
    )


def __dir__() -> list[str]:
    return sorted([*globals(), *_FRONT, *_ROOMS])
