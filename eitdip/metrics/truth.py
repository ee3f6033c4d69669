"""How far an estimate is from a known truth: conductivities on the cells of a mesh, and images."""

import numpy as np

from eitdip.metrics.fields import contrast_error, dice, psnr, relative_l2

# The names of errors, and which of two is better.
BETTER = {
    "relative L2": min,
    "relative L2 over background": min,
    "contrast error": min,
    "dice conductive": max,
    "dice resistive": max,
    "PSNR": max,
}


class Truth:
    """The truth image sampled at the cells.

    Args:
        image: S/m, NaN outside the body: shape (H, W), row 0 at the largest y, or (D, H, W), slice 0 at the
            smallest z, over the domain's bounding square or box.
        domain: An `eitdip.mesh.Domain`, plane or solid.
    """

    def __init__(self, image: np.ndarray, domain):
        true = sample_image(image, domain)
        self._inside = np.isfinite(true)
        self._true, self._sizes = true[self._inside], domain.cell_sizes[self._inside]

    def headline(self, sigma: np.ndarray) -> dict[str, float]:
        """The error to watch, relative L2, of a conductivity per cell, shape (C,), S/m."""
        return {"relative L2": relative_l2(sigma[self._inside], self._true, self._sizes)}

    def metrics(self, sigma: np.ndarray) -> dict[str, float | None]:
        """All errors of a conductivity per cell, shape (C,), S/m; cells count by their sizes.

        "relative L2 over background" is that of both divided by their medians: an error of the fitted background, to
        which the mesh and the contacts contribute, does not count.

        An entry is None where it has no meaning: the Dice score of a sign that the truth lacks,
        contrast error and PSNR of a truth without contrast.
        """
        found, true, sizes = sigma[self._inside], self._true, self._sizes
        flat = np.ptp(true) == 0
        background = _median(true, sizes)  # the truth's own: the fitted one differs, which would count as contrast
        return _known(
            {
                **self.headline(sigma),
                "relative L2 over background": relative_l2(found / _median(found, sizes), true / background, sizes),
                "contrast error": np.nan if flat else contrast_error(found, true, background, sizes),
                "dice conductive": dice(found, true, background, 1, weights=sizes),
                "dice resistive": dice(found, true, background, -1, weights=sizes),
                "PSNR": np.nan if flat else psnr(found, true, sizes),
            }
        )


class ImageTruth:
    """An image to compare others with; of complex ones the magnitudes.

    Args:
        image: Any shape.
        low: Least value of images, or None.
        high: Largest value, or None.
    """

    def __init__(self, image: np.ndarray, low: float | None = None, high: float | None = None):
        self._true, self._bounds = np.asarray(image), (low, high)

    def headline(self, image: np.ndarray) -> dict[str, float]:
        """The error to watch, PSNR in dB, of an image of this shape; NaN of a constant truth without bounds."""
        true, known = _magnitudes(self._true, image), None not in self._bounds
        return {"PSNR": quality(image, self._true, *self._bounds) if known or np.ptp(true) else np.nan}

    def metrics(self, image: np.ndarray) -> dict[str, float | None]:
        """All errors of an image of this shape. An entry is None where it has no meaning or is infinite."""
        true, found = _magnitudes(self._true, image), _magnitudes(image, image)
        relative = relative_l2(found, true) if true.any() else np.nan
        return _known({"relative L2": relative, **self.headline(image)})


def quality(image: np.ndarray, truth: np.ndarray, low: float | None = None, high: float | None = None) -> float:
    """PSNR in dB of an image within its bounds, with their distance, if both are known, as the peak.

    Args:
        image: Any shape; of a complex one the magnitude counts, without bounds.
        truth: Same shape.
        low: Least value, or None.
        high: Largest value, or None.

    Raises:
        ShapeError: If shapes differ.
        InvalidDataError: If the image is not finite, or the truth is constant and no peak is known.
    """
    peak = None if None in (low, high) else high - low
    found = _magnitudes(image, image)
    if not np.iscomplexobj(image):
        found = np.clip(found, -np.inf if low is None else low, np.inf if high is None else high)
    return psnr(found, _magnitudes(truth, image), data_range=peak)


def sample_image(image: np.ndarray, domain) -> np.ndarray:
    """An image over the domain's bounding square or box at the cell centroids, shape (C,).

    Args:
        image: Shape (H, W), row 0 at the largest y, or (D, H, W), slice 0 at the smallest z.
        domain: An `eitdip.mesh.Domain`, plane or solid.
    """
    return image_at(image, domain, domain.centroids)


def image_at(image: np.ndarray, domain, points: np.ndarray) -> np.ndarray:
    """An image over the domain's bounding square or box at points: the pixel in which each is; NaN beyond the image.

    Args:
        image: As for `sample_image`.
        domain: An `eitdip.mesh.Domain`, plane or solid.
        points: Shape (..., 2) or (..., 3), m.
    """
    widths = np.ptp(domain.points, axis=0)
    if domain.dimension == 2:
        widths = np.full(2, widths.max())
    shares = (points - domain.center) / widths + 0.5  # 0 to 1 along x, y, z
    shares[..., 1] = 1 - shares[..., 1]
    sizes = np.array(image.shape)
    places = np.floor(shares[..., ::-1] * sizes).astype(int)
    beyond = (shares < -1e-9) | (shares > 1 + 1e-9)  # a node of the rim is not beyond by rounding
    found = image[tuple(np.moveaxis(np.clip(places, 0, sizes - 1), -1, 0))]
    return np.where(beyond.any(axis=-1), np.nan, found)


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """The least value below or at which there is half of the weight."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, 0.5 * below[-1])])


def _magnitudes(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Of values that are compared with an image: their magnitudes if it is complex."""
    return np.abs(values) if np.iscomplexobj(image) else np.asarray(values)


def _known(errors: dict[str, float]) -> dict[str, float | None]:
    return {name: float(value) if np.isfinite(value) else None for name, value in errors.items()}
