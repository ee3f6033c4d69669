"""A problem: what is known before anything is sought."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from torch import nn

from eitdip.data.data import Data
from eitdip.data.measurements import Measurements
from eitdip.errors import ShapeError
from eitdip.operator import ForwardModel
from eitdip.problems.instrument import Calibration
from eitdip.problems.unknown import Unknown


@dataclass(frozen=True, eq=False)
class Problem:
    """Find x with F(x) = data up to noise.

    Args:
        name: Such as "tank", "ct" or "inpaint".
        model: F.
        data: What F(x) is fitted to; for tanks after calibration.
        unknown: x.
        truth: What x should be, as an image or in the shape of x, if it is known. No method sees it.
        state: The model's own state from which each seed starts, so that none depends on another.
        comm: The ranks that share the model.
        measurements: Of bodies: the data as measured, with patterns and geometry.
        calibration: Of bodies: what the homogeneous measurement told, or None.
        misfits: Name to a function that gives another model and a misfit of its values, such as "kohn-vogelius".
        model_hash: Of all that decides the model's values.
        settings: How it was made of its data, for the record: names to JSON values.

    Raises:
        ShapeError: If data and model do not fit.
    """

    name: str
    model: ForwardModel
    data: Data
    unknown: Unknown
    truth: np.ndarray | None = None
    state: dict = field(default_factory=dict)
    comm: object = None
    measurements: Measurements | None = None
    calibration: Calibration | None = None
    misfits: Mapping[str, Callable[[], tuple[ForwardModel, nn.Module]]] = MappingProxyType({})
    model_hash: str = ""
    settings: Mapping[str, object] = MappingProxyType({})

    def __post_init__(self):
        if not isinstance(self.data, Data) or not isinstance(self.model, ForwardModel):
            got = f"{type(self.model).__name__} and {type(self.data).__name__}"
            raise ShapeError(f"{self.name}: got {got}, expected a ForwardModel and Data")
        if self.data.shape != self.model.range.shape:
            raise ShapeError(
                f"{self.name}: got data of shape {self.data.shape}, expected the model's {self.model.range.shape}"
            )

    @property
    def hash(self) -> str:
        """Of all that decides the answer but the method: 16 hex digits."""
        parts = "".join(self.parts.values())
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    @property
    def parts(self) -> dict[str, str]:
        """The same part by part, so that an error can say which one differs."""
        return {"data": self.data.hash, "model": self.model_hash, "unknown": self.unknown.hash}
