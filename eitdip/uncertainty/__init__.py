"""Posteriors: how far to trust each entry of a reconstruction, and how to check that."""

from eitdip.uncertainty.laplace import LinearizedLaplace, linearized_laplace
from eitdip.uncertainty.matrix_free import MatrixFreeLaplace, matrix_free_laplace
from eitdip.uncertainty.posterior import GaussianPosterior, Posterior, Variable

__all__ = [
    "GaussianPosterior", "LinearizedLaplace", "MatrixFreeLaplace", "Posterior", "Variable", "linearized_laplace",
    "matrix_free_laplace",
]  # fmt: skip
