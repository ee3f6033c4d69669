"""Linear imaging operators on torch tensors: y = A x + noise. Never DOLFINx, never MPI."""

from eitdip.imaging.beams import FanBeam, ParallelBeam
from eitdip.imaging.cone import ConeBeam, ConeBeamCT
from eitdip.imaging.ct import CT, FanCT, ParallelCT
from eitdip.imaging.deepinverse import DeepInverse, PartialIsometry
from eitdip.imaging.ellipses import Ellipses, random_ellipses, shepp_logan
from eitdip.imaging.krylov import cgls
from eitdip.imaging.mri import CartesianMRI, NonCartesianMRI, coil_maps
from eitdip.imaging.noise import Gaussian, Noise, Poisson
from eitdip.imaging.operator import ImagingOperator
from eitdip.imaging.particles import FieldFreePoint, MagneticParticleImaging, Particle
from eitdip.imaging.pet import EmissionPET, Transmission, em, poisson_log_likelihood, survival, transmission
from eitdip.imaging.pixels import blur, denoising, downsampling, inpainting
from eitdip.imaging.primal_dual import total_variation
from eitdip.imaging.sensing import DenseOperator, compressed_sensing
from eitdip.imaging.sparse import SparseOperator

__all__ = [
    "CT",
    "CartesianMRI",
    "ConeBeam",
    "ConeBeamCT",
    "DeepInverse",
    "DenseOperator",
    "Ellipses",
    "EmissionPET",
    "FanBeam",
    "FanCT",
    "FieldFreePoint",
    "Gaussian",
    "ImagingOperator",
    "MagneticParticleImaging",
    "Noise",
    "NonCartesianMRI",
    "ParallelBeam",
    "ParallelCT",
    "PartialIsometry",
    "Particle",
    "Poisson",
    "SparseOperator",
    "Transmission",
    "blur",
    "cgls",
    "coil_maps",
    "compressed_sensing",
    "denoising",
    "downsampling",
    "em",
    "inpainting",
    "poisson_log_likelihood",
    "random_ellipses",
    "shepp_logan",
    "survival",
    "total_variation",
    "transmission",
]
