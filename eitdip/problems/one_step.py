"""One-step linearized images of a body: the approximate inverse A^+ that a network is given for electrode data.

Let m be the logarithm of the conductivity over the background, on pixels, and d = F(background exp m) - F(background)
~ J m with noise of covariance C. With a Gaussian prior m = S w, S a smoothing, w standard normal, and the singular
value decomposition of the whitened and smoothed Jacobian, C^{-1/2} J S = U diag(s) V^T,

    m_lambda = S V diag(s / (s^2 + lambda)) U^T C^{-1/2} d

is the Tikhonov solution of weight lambda, and diag(V diag(s^2 / (s^2 + lambda)) V^T) tells how well each pixel is seen
by the electrodes that are there. Both need nothing but a model and data: any electrodes, any patterns, any mask.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.problems.problem import Problem

SIZES = {2: 64, 3: 32}  # by dimension


class OneStep:
    """Images of difference data at a few Tikhonov weights, as channels for a network.

    Args:
        problem: Of a body, plane or solid, with the patterns, mask and deviations that count.
        size: Pixels along each side, over the unknown's window, or voxels along the largest; by default `SIZES`.
        weights: lambda, one image each; whitened data have noise of variance one.
        smoothing: Standard deviation of S, in pixels.
        rank: Singular values that are kept: of 32 electrodes 80 to 130 rise above the noise.

    Attributes:
        channels: How many there are.
        mask: Of the data, shape (K, M).
        shape: Of the images, (size, size), or (D, H, W) of near-cubic voxels.
        inside: Which pixels are in the body.
        window: Half extent of the images over the body's radius.

    Raises:
        InvalidDataError: If the problem has no background to linearize at.
    """

    def __init__(
        self,
        problem: Problem,
        size: int | None = None,
        weights: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0),
        smoothing: float = 1.5,
        rank: int = 160,
    ):
        if problem.unknown.start is None:
            raise InvalidDataError(f"{problem.name}: it has no background, which one-step images are linearized at")
        background = float(problem.unknown.start)
        grid = problem.unknown.grid("pixels", size or SIZES[problem.unknown.dimension])
        reference, derivative = problem.model.linearize(np.full(problem.model.domain.shape, background))
        self.reference, self.mask, self.shape = reference, problem.data.mask, grid.shape
        self._deviation = problem.data.deviation[self.mask]
        pixels = grid.field_map.matrix
        # Rows of the Jacobian are many, but combinations of few: with an orthonormal basis of them the rest is faster.
        rows, energies = derivative.factored(pixels)
        basis, rows = np.linalg.qr(rows[self.mask.ravel()] / self._deviation[:, None])
        whitened = (background * rows @ energies).reshape(-1, *self.shape)
        widths = (0, *(smoothing,) * len(self.shape))
        smooth = lambda images: gaussian_filter(images, widths, mode="constant")  # noqa: E731
        left, values, right = _leading(smooth(whitened).reshape(len(whitened), -1), rank)
        left, images = basis @ left, smooth(right.reshape(-1, *self.shape)).reshape(len(right), -1)
        filters = np.stack([values / (values**2 + weight) for weight in weights])
        self._project = np.ascontiguousarray((left / self._deviation[:, None]).T, dtype=np.float32)
        self._images = np.concatenate([f[:, None] * images for f in filters], axis=1).astype(np.float32)
        self.inside = np.asarray(abs(pixels).sum(axis=0)).reshape(self.shape) > 0
        seen = [(value**2 / (value**2 + weight)) @ right**2 for value, weight in ((values, w) for w in weights[1:3])]
        self._still = np.stack([*(self._scaled(each) for each in seen), self.inside, self._radius()]).astype(np.float32)
        self.window = problem.unknown.window
        self.channels = len(weights) + len(self._still)
        self._still *= self.inside

    def difference(self, problem: Problem) -> np.ndarray:
        """What a problem's data say beyond the background, shape (K, M); 0 where nothing was measured.

        Raises:
            ShapeError: If its mask is another one.
        """
        if not np.array_equal(problem.data.mask, self.mask):
            raise ShapeError(f"{problem.name}: got another mask of the data than the one that images were prepared for")
        return np.where(self.mask, problem.data.values - self.reference, 0.0)

    def __call__(self, differences: np.ndarray) -> np.ndarray:
        """Channels of many data.

        Args:
            differences: d, shape (B, K, M); what the mask hides does not count.

        Returns:
            float32, shape (B, channels, *shape): arsinh of the images, how well pixels are seen at two weights,
            1 inside the body, the distance from its centre; 0 outside.
        """
        images = self.images(differences)
        still = np.broadcast_to(self._still, (len(images), *self._still.shape))
        return np.concatenate([np.arcsinh(images), still], axis=1)

    def images(self, differences: np.ndarray) -> np.ndarray:
        """m at each weight, float32, shape (B, weights, *shape); 0 outside the body."""
        if differences.ndim != 3 or differences.shape[1:] != self.mask.shape:
            raise ShapeError(f"differences: got shape {differences.shape}, expected (B, *{self.mask.shape})")
        rows = differences[:, self.mask].astype(np.float32)
        images = (rows @ self._project.T) @ self._images
        return images.reshape(len(rows), -1, *self.shape) * self.inside

    def _scaled(self, seen: np.ndarray) -> np.ndarray:
        """From 0, unseen, to about 1 at the best electrodes, on a scale on which the middle counts too."""
        return (seen / seen.max()).reshape(self.shape) ** 0.25

    def _radius(self) -> np.ndarray:
        axes = [(np.arange(count) + 0.5) * 2 / count - 1 for count in self.shape]
        return np.sqrt(sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij")))


def _leading(matrix: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leading singular triplets by a random block and one turn: those of EIT fall by orders, so one is enough.

    Returns:
        Left vectors (m, r), values (r,), right vectors as rows (r, n).
    """
    rank = min(rank, *matrix.shape)
    block = np.random.default_rng(0).standard_normal((matrix.shape[1], min(rank + 20, *matrix.shape)))
    basis = np.linalg.qr(matrix @ block)[0]
    basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    turn, values, right = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return basis @ turn[:, :rank], values[:rank], right[:rank]
