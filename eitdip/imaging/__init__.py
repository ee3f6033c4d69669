"""Imaging operators on torch tensors, y = A x. Never DOLFINx, never MPI."""

from eitdip.imaging.beams import FanBeam, ParallelBeam
from eitdip.imaging.cone import ConeBeam, ConeBeamCT
from eitdip.imaging.cone_samples import SampledConeCT
from eitdip.imaging.ct import CT, FanCT, ParallelCT
from eitdip.imaging.deepinverse import DeepInverse, PartialIsometry
from eitdip.imaging.mri import CartesianMRI, NonCartesianMRI, coil_maps
from eitdip.imaging.operator import ImagingOperator
from eitdip.imaging.panels import Panels
from eitdip.imaging.particles import FieldFreePoint, MagneticParticleImaging, Particle
from eitdip.imaging.pet import EmissionPET, Transmission, survival
from eitdip.imaging.pixels import blur, denoising, downsampling, inpainting
from eitdip.imaging.sensing import DenseOperator, compressed_sensing
from eitdip.imaging.sparse import Diagonal, SparseOperator
from eitdip.operator import cgls

__all__ = [
    "CT",
    "CartesianMRI",
    "ConeBeam",
    "ConeBeamCT",
    "DeepInverse",
    "DenseOperator",
    "Diagonal",
    "EmissionPET",
    "FanBeam",
    "FanCT",
    "FieldFreePoint",
    "ImagingOperator",
    "MagneticParticleImaging",
    "NonCartesianMRI",
    "Panels",
    "ParallelBeam",
    "ParallelCT",
    "PartialIsometry",
    "Particle",
    "SampledConeCT",
    "SparseOperator",
    "Transmission",
    "blur",
    "cgls",
    "coil_maps",
    "compressed_sensing",
    "denoising",
    "downsampling",
    "inpainting",
    "survival",
]
