"""Finite elements: function spaces, linear algebra and the three electrical models. Never torch."""

import contextlib

# The pip wheel of DOLFINx must be loaded through this module first; other builds do not have it.
with contextlib.suppress(ModuleNotFoundError):
    import dolfinx_solver  # noqa: F401

from eitdip.fem.continuum import DirichletModel, NeumannModel
from eitdip.fem.electrode import CompleteElectrodeModel
from eitdip.fem.matrices import pixel_map
from eitdip.fem.patterns import trigonometric
from eitdip.fem.spaces import Discretization

__all__ = [
    "CompleteElectrodeModel",
    "DirichletModel",
    "Discretization",
    "NeumannModel",
    "pixel_map",
    "trigonometric",
]
