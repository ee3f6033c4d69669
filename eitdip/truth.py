"""A known truth on the cells of a mesh, and how far a conductivity is from it."""

import numpy as np

from eitdip import metrics
from eitdip.mesh import Domain


class Truth:
    """The truth image sampled at the cells.

    Args:
        image: S/m, NaN outside the body: shape (H, W), row 0 at the largest y, or (D, H, W), slice 0 at the
            smallest z, over the domain's bounding square or box.
        domain: Plane or solid.
    """

    def __init__(self, image: np.ndarray, domain: Domain):
        true = sample_image(image, domain)
        self._inside = np.isfinite(true)
        self._true, self._sizes = true[self._inside], domain.cell_sizes[self._inside]

    def relative_l2(self, sigma: np.ndarray) -> float:
        """Relative L2 error of a conductivity per cell, shape (C,), S/m."""
        return metrics.relative_l2(sigma[self._inside], self._true, self._sizes)

    def metrics(self, sigma: np.ndarray) -> dict[str, float | None]:
        """All errors of a conductivity per cell, shape (C,), S/m.

        An entry is None where it has no meaning: the Dice score of a sign that the truth lacks,
        contrast error and PSNR of a truth without contrast.
        """
        sigma, true, sizes = sigma[self._inside], self._true, self._sizes
        flat = np.ptp(true) == 0
        background = float(np.median(true))  # the truth's own: the fitted one differs, which would count as contrast
        values = {
            "relative L2": metrics.relative_l2(sigma, true, sizes),
            "contrast error": np.nan if flat else metrics.contrast_error(sigma, true, background, sizes),
            "dice conductive": metrics.dice(sigma, true, background, 1),
            "dice resistive": metrics.dice(sigma, true, background, -1),
            "PSNR": np.nan if flat else metrics.psnr(sigma, true),
        }
        return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def sample_image(image: np.ndarray, domain: Domain) -> np.ndarray:
    """An image over the domain's bounding square or box at the cell centroids, shape (C,).

    Args:
        image: Shape (H, W), row 0 at the largest y, or (D, H, W), slice 0 at the smallest z.
        domain: Plane or solid.
    """
    widths = np.ptp(domain.points, axis=0)
    if domain.dimension == 2:
        widths = np.full(2, widths.max())
    shares = (domain.centroids - domain.center) / widths + 0.5  # 0 to 1 along x, y, z
    shares[:, 1] = 1 - shares[:, 1]
    place = np.clip((shares[:, ::-1] * image.shape).astype(int), 0, np.array(image.shape) - 1)
    return image[tuple(place.T)]
