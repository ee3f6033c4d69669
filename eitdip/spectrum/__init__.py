"""What the weights of a network can change: singular values and vectors of its Jacobians, along a training."""

from eitdip.spectrum.along import SpectrumAlong, drift
from eitdip.spectrum.svd import Spectrum, randomized_svd

__all__ = ["Spectrum", "SpectrumAlong", "drift", "randomized_svd"]
