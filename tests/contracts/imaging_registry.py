"""Every imaging operator, as small cases that `test_imaging.py` runs its contract on.

A new operator joins by one line in `CASES`. `make(dtype, seed)` builds it: the dtype is that of its `domain`, and
another seed gives other arrays of the same shapes (a mask, a matrix), where an operator has any that can differ.
`real` lists an operator in float32 and float64, `complex_` in complex64 and complex128; `needs` names the optional
packages without which the case is skipped.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import sparse

from eitdip.imaging import (
    CT,
    CartesianMRI,
    ConeBeam,
    ConeBeamCT,
    DeepInverse,
    DenseOperator,
    Diagonal,
    EmissionPET,
    FanCT,
    FieldFreePoint,
    ImagingOperator,
    MagneticParticleImaging,
    NonCartesianMRI,
    ParallelBeam,
    ParallelCT,
    Particle,
    SampledConeCT,
    SparseOperator,
    blur,
    compressed_sensing,
    denoising,
    downsampling,
    inpainting,
)
from eitdip.networks import ConvolutionalDecoder
from eitdip.objective.jacobian import FieldMap, Fields, data_jacobian, field_jacobian, unknowns_jacobian
from eitdip.operator import Space, stack
from eitdip.parameterization import Affine, Bounded, Parameterization, draw_prior

Make = Callable[[str, int], ImagingOperator]


@dataclass(frozen=True)
class ImagingCase:
    """An operator of one precision.

    Args:
        name: Of the operator, the same in all precisions.
        make: Builds it from the dtype of its images and a seed.
        dtype: Of its images.
        needs: Optional packages.
    """

    name: str
    make: Make
    dtype: str
    needs: tuple[str, ...] = ()

    def build(self, seed: int = 0) -> ImagingOperator:
        """The operator, or a skipped test where a package is missing."""
        for package in self.needs:
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"needs {package}")
        return self.make(self.dtype, seed)

    @property
    def double(self) -> bool:
        """Whether it computes in double precision."""
        return self.dtype in ("float64", "complex128")


def real(name: str, make: Make, *needs: str) -> list[ImagingCase]:
    """Cases of an operator on real images."""
    return [ImagingCase(name, make, dtype, needs) for dtype in ("float32", "float64")]


def complex_(name: str, make: Make, *needs: str) -> list[ImagingCase]:
    """Cases of an operator on complex images."""
    return [ImagingCase(name, make, dtype, needs) for dtype in ("complex64", "complex128")]


def _sparse(dtype: str, seed: int) -> SparseOperator:
    pattern = sparse.random_array((20, 48), density=0.3, rng=np.random.default_rng(0), format="csr")
    pattern.data = np.random.default_rng(seed).standard_normal(pattern.nnz)
    return SparseOperator(pattern, Space((6, 8), dtype), Space((5, 4), dtype))


def _normal(*shape: int, seed: int, dtype: str = "float64") -> np.ndarray:
    return Space(shape, dtype).random(np.random.default_rng(seed))


def _mask(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.5


def _dense(dtype: str, seed: int) -> DenseOperator:
    data = {"float32": "complex64", "float64": "complex128"}[dtype]
    return DenseOperator(_normal(7, 30, seed=seed, dtype=data), Space((5, 6), dtype), Space((7,), data))


def _physics(dtype: str, seed: int) -> DeepInverse:
    """Any other physics of deepinv: one whose data are vectors."""
    from deepinv.physics import CompressedSensing

    physics = CompressedSensing(20, (3, 4, 5), rng=torch.Generator().manual_seed(seed))
    return DeepInverse(physics, Space((3, 4, 5), dtype))


def _blur(dtype: str, seed: int, boundary: str = "reflect") -> DeepInverse:
    return blur((9, 8), kernel=_normal(5, 3, seed=seed), boundary=boundary, dtype=dtype)


def _radial(dtype: str, seed: int, coils: int = 0) -> NonCartesianMRI:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (70, 2))
    maps = _normal(coils, 8, 7, seed=seed, dtype="complex128") if coils else None
    return NonCartesianMRI(samples, (8, 7), maps, dtype)


def _coils(dtype: str, seed: int) -> CartesianMRI:
    return CartesianMRI(_mask(8, 9, seed=seed), _normal(3, 8, 9, seed=seed, dtype="complex128"), dtype)


def _parallel_ct(dtype: str, _: int) -> ParallelCT:
    return ParallelCT((6, 8), np.linspace(0, np.pi, 5, endpoint=False), 9, pixel_size=0.9, dtype=dtype)


def _fan_ct(dtype: str, _: int) -> FanCT:
    angles = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    distances = {"source_origin": 12.0, "origin_detector": 6.0}
    return FanCT((6, 8), angles, 9, **distances, detector_size=1.6, kernel="strip", dtype=dtype)


def _cone_ct(dtype: str, _: int) -> ConeBeamCT:
    angles = np.linspace(0, 2 * np.pi, 3, endpoint=False)
    beam = ConeBeam(angles, 6, 1.4, source_origin=12.0, origin_detector=6.0, rows=4)
    return ConeBeamCT((3, 4, 5), beam, 0.9, samples=2, dtype=dtype)


def _sampled_cone_ct(dtype: str, _: int) -> SampledConeCT:
    angles = np.linspace(0, 2 * np.pi, 3, endpoint=False)
    beam = ConeBeam(angles, 6, 1.4, source_origin=12.0, origin_detector=6.0, rows=4)
    return SampledConeCT((3, 4, 5), beam, 0.9, dtype=dtype)


def _pet(dtype: str, seed: int) -> EmissionPET:
    rng = np.random.default_rng(seed)
    attenuation, efficiency = rng.uniform(0.2, 1, (2, 5, 4))
    return EmissionPET(_sparse(dtype, 0), attenuation, 2 * efficiency)


def _line(dtype: str, _: int) -> MagneticParticleImaging:
    return MagneticParticleImaging(FieldFreePoint(), Particle(), (15,), harmonics=range(2, 12), dtype=dtype)


def _lissajous(dtype: str, _: int) -> MagneticParticleImaging:
    scanner = FieldFreePoint((9e-3, 8e-3), (1.5, 1.0), (4, 5), period=160e-6)
    return MagneticParticleImaging(scanner, Particle(), (5, 6), harmonics=range(1, 16), dtype=dtype)


def _tall(dtype: str, seed: int) -> DenseOperator:
    return DenseOperator(_normal(24, 12, seed=seed, dtype=dtype), Space((3, 4), dtype), Space((4, 6), dtype))


def _wide(dtype: str, seed: int) -> DenseOperator:
    return DenseOperator(_normal(12, 10, seed=seed + 9, dtype=dtype), Space((5, 2), dtype), Space((3, 4), dtype))


def _diagonal(dtype: str, seed: int) -> Diagonal:
    return Diagonal(torch.from_numpy(_normal(3, 4, seed=seed, dtype=dtype)), Space((3, 4), dtype))


def _long(dtype: str, seed: int) -> ImagingOperator:
    """Every kind of composition in one: (s T D + T) W, over its double, over the adjoint of W* T*."""
    tall, wide = _tall(dtype, seed), _wide(dtype, seed)
    scalar = 0.5 - 1j if dtype.startswith("complex") else -0.5
    combined = (scalar * tall @ _diagonal(dtype, seed) - -tall) @ wide
    return stack(combined, 2 * combined, (wide.H @ tall.H).H)


def _compositions(dtypes) -> list[ImagingCase]:
    scalar = 2.5 - 1.5j if dtypes is complex_ else 2.5
    return [
        *dtypes("sum", lambda dtype, seed: _tall(dtype, seed) + _tall(dtype, 7)),
        *dtypes("difference", lambda dtype, seed: _tall(dtype, seed) - _tall(dtype, 7)),
        *dtypes("negative", lambda dtype, seed: -_tall(dtype, seed)),
        *dtypes("multiple", lambda dtype, seed: scalar * _tall(dtype, seed)),
        *dtypes("product", lambda dtype, seed: _tall(dtype, seed) @ _wide(dtype, seed)),
        *dtypes("adjoint", lambda dtype, seed: _tall(dtype, seed).H),
        *dtypes("normal", lambda dtype, seed: _tall(dtype, seed).H @ _tall(dtype, seed)),
        *dtypes("stack", lambda dtype, seed: stack(_tall(dtype, seed), _tall(dtype, 7))),
        *dtypes("stack-of-one", lambda dtype, seed: stack(_tall(dtype, seed))),
        *dtypes("every-composition", _long),
        *dtypes("Diagonal", _diagonal),
    ]


def _parameterization(seed: int, *, complex: bool = False) -> Parameterization:
    """A network in single precision, with a drift in double precision where the field is real."""
    network = ConvolutionalDecoder(channels=2, levels=1, outputs=2 if complex else 1)
    generator = draw_prior(network, (6, 4), seed)
    link = Affine(0.5) if complex else Bounded(1.0, 0.2, 6.0)
    with torch.no_grad():  # its last layer starts at zero
        network.output.weight += torch.randn(network.output.weight.shape, generator=torch.Generator().manual_seed(seed))
    return Parameterization(generator, link, fit_drift=not complex, unit=1.0 if complex else None, complex=complex)


def _data_jacobian(seed: int) -> ImagingOperator:
    model = DenseOperator(
        _normal(9, 24, seed=1, dtype="complex128"), Space((6, 4), "complex128"), Space((9,), "complex128")
    )
    return data_jacobian(model, _parameterization(seed, complex=True))


CASES: list[ImagingCase] = [
    *real("SparseOperator", _sparse),
    *real("DenseOperator-complex-data", _dense),
    *real("DeepInverse-vectors", _physics, "deepinv"),
    *real("denoising", lambda dtype, _: denoising((8, 9), dtype), "deepinv"),
    *real("denoising-colour", lambda dtype, _: denoising((3, 8, 9), dtype), "deepinv"),
    *real("inpainting", lambda dtype, seed: inpainting(_mask(8, 9, seed=seed), dtype), "deepinv"),
    *real("inpainting-colour", lambda dtype, seed: inpainting(_mask(3, 8, 9, seed=seed), dtype), "deepinv"),
    *real("downsampling-2", lambda dtype, _: downsampling((8, 12), 2, dtype), "deepinv"),
    *real("downsampling-3-colour", lambda dtype, _: downsampling((3, 12, 15), 3, dtype), "deepinv"),
    *real("blur", _blur, "deepinv"),
    *real("blur-circular", lambda dtype, seed: _blur(dtype, seed, "circular"), "deepinv"),
    *real("blur-replicate", lambda dtype, seed: _blur(dtype, seed, "replicate"), "deepinv"),
    *real("blur-zeros", lambda dtype, seed: _blur(dtype, seed, "zeros"), "deepinv"),
    *real("blur-valid", lambda dtype, seed: _blur(dtype, seed, "valid"), "deepinv"),
    *real("blur-gaussian-colour", lambda dtype, _: blur((3, 12, 9), sigma=0.8, dtype=dtype), "deepinv"),
    *real("compressed_sensing", lambda dtype, seed: compressed_sensing((6, 8), 20, seed, dtype)),
    *complex_("compressed_sensing-complex", lambda dtype, seed: compressed_sensing((6, 8), 20, seed, dtype)),
    *complex_("CartesianMRI", lambda dtype, seed: CartesianMRI(_mask(8, 9, seed=seed), dtype=dtype), "deepinv"),
    *complex_("CartesianMRI-coils", _coils, "deepinv"),
    *complex_("NonCartesianMRI", _radial, "finufft"),
    *complex_("NonCartesianMRI-coils", lambda dtype, seed: _radial(dtype, seed, 3), "finufft"),
    *real("CT", lambda dtype, _: CT((6, 8), ParallelBeam(np.linspace(0, 3, 5), 9, 1.0), dtype=dtype), "astra"),
    *real("ParallelCT", _parallel_ct, "astra"),
    *real("FanCT", _fan_ct, "astra"),
    *real("ConeBeamCT", _cone_ct),
    *real("SampledConeCT", _sampled_cone_ct),
    *real("EmissionPET", _pet),
    *real("MagneticParticleImaging", _line),
    *real("MagneticParticleImaging-plane", _lissajous),
    *_compositions(real),
    *_compositions(complex_),
    *real("multiple-complex-data", lambda dtype, seed: (0.3 + 2j) * _dense(dtype, seed)),
    *real("normal-complex-data", lambda dtype, seed: _dense(dtype, seed).H @ _dense(dtype, seed)),
    ImagingCase("field-jacobian", lambda _, seed: field_jacobian(_parameterization(seed)), "float64"),
    ImagingCase(
        "field-jacobian-complex", lambda _, seed: field_jacobian(_parameterization(seed, complex=True)), "float64"
    ),
    ImagingCase("FieldMap", lambda _, __: FieldMap(Fields(_parameterization(0)), None), "float64"),
    ImagingCase("unknowns-jacobian", lambda _, seed: unknowns_jacobian(_parameterization(seed)), "float64"),
    ImagingCase("data-jacobian-complex", lambda _, seed: _data_jacobian(seed), "float64"),
]
