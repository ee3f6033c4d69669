"""Every forward model and linear operator of eitdip, as small cases that all contract tests run on.

A new class joins by one line here; `test_registry.py` fails until it has one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy import sparse

from eitdip.fem import (
    CompleteElectrodeModel,
    DirichletModel,
    Discretization,
    KohnVogelius,
    NeumannModel,
    pixel_map,
    trigonometric,
)
from eitdip.fem.patterns import adjacent, trigonometric_currents
from eitdip.imaging import DenseOperator, SparseOperator, Transmission
from eitdip.mesh import Domain
from eitdip.networks import ConvolutionalDecoder
from eitdip.objective.jacobian import data_jacobian
from eitdip.operator import ForwardModel, LinearOperator, Matrix, Space, stack
from eitdip.parameterization import Exp, Parameterization, draw_prior
from tests.cases.meshes import ring_disk
from tests.cases.solids import box, box_with_electrodes


@dataclass(frozen=True)
class ModelCase:
    """A model, and points where it is defined."""

    name: str
    make: Callable[[], ForwardModel]

    def point(self, model: ForwardModel, rng: np.random.Generator) -> np.ndarray:
        """A conductivity between 0.5 and 2 S/m."""
        return rng.uniform(0.5, 2.0, model.domain.shape)


@dataclass(frozen=True)
class OperatorCase:
    """A linear operator and, where it is known independently, its matrix."""

    name: str
    make: Callable[[], LinearOperator]
    matrix: Callable[[], np.ndarray] | None = None


@cache
def domain(degree: int, electrodes: int = 8) -> Domain:
    """96 cells in 4 rings."""
    return ring_disk(4, electrodes, degree=degree, covered=2 / 3)


def dirichlet(degree: int, sigma: str) -> DirichletModel:
    return DirichletModel(domain(degree), trigonometric(domain(degree), 2), sigma_element=sigma)


def neumann(degree: int, sigma: str) -> NeumannModel:
    return NeumannModel(domain(degree), trigonometric(domain(degree), 2), sigma_element=sigma)


def electrodes(degree: int, sigma: str) -> CompleteElectrodeModel:
    impedance = np.linspace(0.05, 0.4, 8)
    return CompleteElectrodeModel(domain(degree), trigonometric_currents(8)[:5], impedance, sigma_element=sigma)


def kohn_vogelius(degree: int, sigma: str) -> KohnVogelius:
    """Fluxes that no conductivity explains, so that the gaps stay away from zero."""
    waves = trigonometric(domain(degree), 4)
    return KohnVogelius(domain(degree), waves[:3], waves[:3] + 0.7 * waves[3:6], sigma)


def dirichlet_moments() -> DirichletModel:
    waves = trigonometric(domain(1), 3)
    return DirichletModel(domain(1), waves[:2], waves[1:])


def neumann_moments() -> NeumannModel:
    waves = trigonometric(domain(1), 3)
    return NeumannModel(domain(1), waves[:2], waves[1:])


def electrode_differences() -> CompleteElectrodeModel:
    return CompleteElectrodeModel(domain(1), trigonometric_currents(8)[:3], 0.1, adjacent(8))


def electrodes_of_pixels() -> ForwardModel:
    model = electrodes(1, "cells")
    return model @ pixel_map(model.discretization, (6, 5))


def solid_dirichlet(sigma: str = "cells") -> DirichletModel:
    body = box(3, 3, 2)
    x, y, z = body.points[body.boundary_nodes].T
    return DirichletModel(body, np.array([x, y * z, x**2 - z**2]), np.array([x, z]), sigma)


def solid_neumann() -> NeumannModel:
    body = box(3, 3, 2)
    centered = body.points[body.boundary_nodes] - 0.5
    return NeumannModel(body, centered.T[:2], centered.T)


def solid_kohn_vogelius() -> KohnVogelius:
    body = box(3, 3, 2)
    centered = (body.points[body.boundary_nodes] - 0.5).T
    return KohnVogelius(body, centered[:2], 1.5 * centered[1:])


def solid_electrodes(sigma: str = "cells", solver: str = "auto") -> CompleteElectrodeModel:
    return CompleteElectrodeModel(
        box_with_electrodes(4), trigonometric_currents(4), 0.1, sigma_element=sigma, solver=solver
    )


def transmission() -> Transmission:
    """Rays through images of 3 x 4 pixels; 500 to 1500 counts without an object."""
    rays = sparse.random_array((10, 12), density=0.4, rng=np.random.default_rng(4), format="csr")
    projector = SparseOperator(rays, Space((3, 4)), Space((5, 2)))
    return Transmission(projector, np.linspace(500, 1500, 10).reshape(5, 2), np.full((5, 2), 3.0))


def transmission_of_tensors() -> ForwardModel:
    """A model on tensors after an operator on tensors: the attenuation is a product of a matrix and x."""
    mixing = np.abs(_random(12, 4)) / 8
    return transmission() @ DenseOperator(mixing, Space((2, 2)), Space((3, 4)))


def transmission_of_arrays() -> ForwardModel:
    mixing = np.abs(_random(12, 4)) / 8
    return transmission() @ Matrix(mixing, Space((2, 2)), Space((3, 4)))


def last_factor_of_voxels() -> ForwardModel:
    model = solid_electrodes(solver="last-factor")
    return model @ pixel_map(model.discretization, (4, 3, 5))


MODELS = [
    ModelCase(
        f"{make.__name__}-{'straight' if degree == 1 else 'curved'}-{sigma}",
        lambda m=make, d=degree, s=sigma: m(d, s),
    )
    for make in (dirichlet, neumann, electrodes, kohn_vogelius)
    for degree in (1, 2)
    for sigma in ("cells", "vertices")
] + [
    ModelCase(make.__name__, make)
    for make in (
        dirichlet_moments, neumann_moments, electrode_differences, electrodes_of_pixels,
        solid_dirichlet, solid_neumann, solid_kohn_vogelius, solid_electrodes, last_factor_of_voxels, transmission,
        transmission_of_tensors, transmission_of_arrays,
    )
] + [
    ModelCase("solid-electrodes-vertices", lambda: solid_electrodes("vertices")),
    ModelCase("solid-electrodes-last-factor", lambda: solid_electrodes(solver="last-factor")),
]  # fmt: skip


def _random(*shape: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def _complex(*shape: int) -> np.ndarray:
    return _random(*shape) + 1j * _random(*shape, seed=8)


def _sparse() -> sparse.csr_array:
    return sparse.random_array((6, 4), density=0.4, rng=np.random.default_rng(3), format="csr")


def _sensitivity(make, *arguments) -> Callable[[], LinearOperator]:
    def build():
        model = make(*arguments)
        return model.linearize(np.random.default_rng(5).uniform(0.5, 2.0, model.domain.shape))[1]

    return build


def _pixels(degree: int, sigma: str) -> Matrix:
    return pixel_map(Discretization(domain(degree), sigma), (6, 5))


def _images(rows: int) -> Matrix:
    return Matrix(_random(2 * rows, 4), Space((2, 2)), Space((rows, 2)))


def _tensors(matrix: np.ndarray) -> DenseOperator:
    """An operator on tensors of the same spaces as `Matrix(matrix)`."""
    rows, columns = (Space((size,), matrix.dtype.name) for size in matrix.shape)
    return DenseOperator(matrix, columns, rows)


def _of_weights() -> LinearOperator:
    """Weights of a network in double precision to voltages: a mixed product of four factors."""
    model = electrodes(1, "cells")
    network = ConvolutionalDecoder(channels=2, levels=1)
    parameterization = Parameterization(
        draw_prior(network, (6, 4)), Exp(1.0), pixel_map(model.discretization, (6, 4)), fit_drift=True
    )
    with torch.no_grad():  # its last layer starts at zero
        network.output.weight += torch.linspace(-1, 1, 2).reshape(network.output.weight.shape)
    return data_jacobian(model, parameterization)


A, B, C = _random(5, 4), _random(5, 4, seed=9), _random(4, 3, seed=10)
D, Z = _random(3, 5), _complex(5, 4)

OPERATORS = [
    OperatorCase("matrix", lambda: Matrix(A), lambda: A),
    OperatorCase("matrix-sparse", lambda: Matrix(_sparse()), lambda: _sparse().toarray()),
    OperatorCase("matrix-complex", lambda: Matrix(Z), lambda: Z),
    OperatorCase("matrix-sparse-complex", lambda: Matrix(sparse.csr_array(Z)), lambda: Z),
    OperatorCase("matrix-shaped", lambda: Matrix(_random(6, 4), Space((2, 2)), Space((3, 2))), lambda: _random(6, 4)),
    OperatorCase("sum", lambda: Matrix(A) + Matrix(B), lambda: A + B),
    OperatorCase("difference", lambda: Matrix(A) - Matrix(B), lambda: A - B),
    OperatorCase("negative", lambda: -Matrix(A), lambda: -A),
    OperatorCase("scaled", lambda: 2.5 * Matrix(A), lambda: 2.5 * A),
    OperatorCase("scaled-right", lambda: Matrix(A) * np.float64(-0.5), lambda: -0.5 * A),
    OperatorCase("scaled-complex", lambda: (1 - 2j) * Matrix(Z), lambda: (1 - 2j) * Z),
    OperatorCase("product", lambda: Matrix(A) @ Matrix(C), lambda: A @ C),
    OperatorCase("adjoint", lambda: Matrix(Z).H, lambda: Z.conj().T),
    OperatorCase("adjoint-of-product", lambda: (Matrix(A) @ Matrix(C)).H, lambda: (A @ C).T),
    OperatorCase("normal", lambda: Matrix(Z).H @ Matrix(Z), lambda: Z.conj().T @ Z),
    OperatorCase(
        "stack", lambda: stack(Matrix(A), -Matrix(B), Matrix(_random(2, 4))), lambda: np.vstack([A, -B, _random(2, 4)])
    ),
    OperatorCase(
        "stack-shaped", lambda: stack(_images(3), _images(2)), lambda: np.vstack([_random(6, 4), _random(4, 4)])
    ),
    OperatorCase("arrays-of-tensors", lambda: Matrix(D) @ _tensors(A), lambda: D @ A),
    OperatorCase("tensors-of-arrays", lambda: _tensors(A) @ Matrix(C), lambda: A @ C),
    OperatorCase(
        "arrays-of-tensors-complex", lambda: Matrix(Z).H @ ((1 - 2j) * _tensors(Z)), lambda: (1 - 2j) * Z.conj().T @ Z
    ),
    OperatorCase("arrays-and-tensors", lambda: Matrix(A) + 2 * _tensors(B), lambda: A + 2 * B),
    OperatorCase("tensors-and-arrays", lambda: _tensors(A) - Matrix(B), lambda: A - B),
    OperatorCase("stack-of-tensors-and-arrays", lambda: stack(_tensors(A), Matrix(B)), lambda: np.vstack([A, B])),
    OperatorCase("stack-of-arrays-and-tensors", lambda: stack(Matrix(A), _tensors(B)), lambda: np.vstack([A, B])),
    OperatorCase("tensors", lambda: stack(2 * _tensors(A), -_tensors(B)), lambda: np.vstack([2 * A, -B])),
    OperatorCase("weights-to-voltages", _of_weights),
    OperatorCase("pixels-cells", lambda: _pixels(1, "cells")),
    OperatorCase("pixels-vertices", lambda: _pixels(2, "vertices")),
    OperatorCase("sensitivity-dirichlet", _sensitivity(dirichlet, 1, "cells")),
    OperatorCase("sensitivity-neumann", _sensitivity(neumann, 2, "vertices")),
    OperatorCase("sensitivity-electrodes", _sensitivity(electrodes, 1, "vertices")),
    OperatorCase("sensitivity-kohn-vogelius", _sensitivity(kohn_vogelius, 1, "cells")),
    OperatorCase("sensitivity-solid-dirichlet", _sensitivity(solid_dirichlet)),
    OperatorCase("sensitivity-solid-electrodes", _sensitivity(solid_electrodes, "vertices")),
    OperatorCase("sensitivity-of-pixels", _sensitivity(electrodes_of_pixels)),
]
