"""Fields and unknowns from weights: a generator, a link, a map to what the model takes."""

from eitdip.parameterization.generators import (
    CoordinateField,
    Cropped,
    DeepImagePrior,
    FreeField,
    LevelSets,
    TwoLayer,
    draw_prior,
    draw_two_layer,
)
from eitdip.parameterization.links import Affine, Between, Bounded, Exp, Link, Softplus
from eitdip.parameterization.parameterization import Parameterization
from eitdip.parameterization.weights import load_weights, save_weights

__all__ = [
    "Affine",
    "Between",
    "Bounded",
    "CoordinateField",
    "Cropped",
    "DeepImagePrior",
    "Exp",
    "FreeField",
    "LevelSets",
    "Link",
    "Parameterization",
    "Softplus",
    "TwoLayer",
    "draw_prior",
    "draw_two_layer",
    "load_weights",
    "save_weights",
]
