"""The turns and reflections that take a round tank with equal electrodes to itself."""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import OptionError
from eitdip.mesh import Ball, Cylinder, Tank


@dataclass(frozen=True, eq=False)
class Symmetries:
    """What each symmetry of a tank does to transfer matrices and to images of classes.

    A ring of n electrodes has 2 n of them; a solid twice as many if it is the same upside down.

    Args:
        orders: Which electrode of the tank before is where electrode l is after, shape (G, L).
        pixels: Which pixel (its place in the flattened image of classes, or -1 for none) lies at each of 2 x 2 points
            in each pixel of the target, shape (G, 2 H, 2 W).
        slices: Which slice of classes (or -1 for none) lies at each of two heights in each slice of the target, shape
            (G, 2 D); of a plane tank the one, (G, 1).
        shape: (H, W) or (D, H, W) of target images.
    """

    orders: np.ndarray
    pixels: np.ndarray
    slices: np.ndarray
    shape: tuple[int, ...]

    @staticmethod
    def of(tank: Tank | Cylinder | Ball, sides: tuple[int, ...], window: float, shape: tuple[int, ...]) -> "Symmetries":
        """Those of a tank.

        Args:
            tank: The tank; electrodes equal and equally spaced around its axis.
            sides: Shape (H, W) or (D, H, W) of images of classes, over the bounding square or box.
            window: Extent of target images over that.
            shape: (H, W) or (D, H, W) of target images.

        Raises:
            OptionError: If images have another dimension than the tank.
        """
        if not tank.dimension == len(sides) == len(shape):
            raise OptionError(f"images: got shapes {sides} and {shape} for a tank of {tank.dimension} dimensions")
        count, first = tank.electrodes, np.radians(tank.first)
        x, y = np.meshgrid(*(_points(n, window) for n in shape[:-3:-1]))
        place, number = (x - 1j * y), np.arange(count)  # row 0 at the top
        ring, pixels = [], []
        for mirrored in (False, True):
            for steps in number:
                ring.append((steps - number if mirrored else number - steps) % count)
                turn = 2 * np.pi * steps / count * (-1 if tank.clockwise else 1)
                before = place * np.exp(-1j * turn)
                if mirrored:  # about the line through electrode 1
                    before = before.conj() * np.exp(2j * first)
                pixels.append(_pixels(before, sides[-1]))
        rings, slices = np.arange(len(tank.rings)), [np.zeros(1, int)]
        if tank.dimension == 3:
            z = _points(shape[0], window)
            slices = [_index(z, sides[0]), _index(-z, sides[0])]
        heights, orders = np.array(tank.heights), [rings]
        if tank.dimension == 3 and np.allclose(heights, -heights[::-1], atol=1e-6 * tank.radius):
            orders.append(rings[::-1])
        return Symmetries(
            np.array([(count * each[:, None] + order).ravel() for each in orders for order in ring]),
            np.concatenate([pixels] * len(orders)),
            np.repeat(slices[: len(orders)], len(ring), axis=0),
            tuple(shape),
        )

    def __len__(self) -> int:
        return len(self.orders)

    def transfer(self, number: int, matrix: np.ndarray) -> np.ndarray:
        """The transfer matrix (L, L) of the turned tank."""
        order = self.orders[number]
        return matrix[np.ix_(order, order)]

    def shares(self, number: int, classes: np.ndarray) -> np.ndarray:
        """Of the turned tank, the share of classes 0, 1, 2 in each pixel of the target: float32 (3, *shape)."""
        slices, pixels = self.slices[number], self.pixels[number]
        layers = classes.reshape(-1, classes.shape[-2] * classes.shape[-1])
        there = (slices >= 0)[:, None, None] & (pixels >= 0)
        turned = np.where(there, layers[slices][:, pixels], 0)
        fine = np.stack([turned == value for value in range(3)])
        depth, (height, width) = (self.shape[0] if len(self.shape) == 3 else 1), self.shape[-2:]
        fine = fine.reshape(3, depth, -1, height, 2, width, 2)
        return fine.mean(axis=(2, 4, 6), dtype=np.float32).reshape(3, *self.shape)


def _points(count: int, window: float) -> np.ndarray:
    """Two in each pixel."""
    return (np.arange(2 * count) + 0.5) * window / count - window


def _index(place: np.ndarray, side: int) -> np.ndarray:
    """Of pixels from -1 to 1; -1 beyond."""
    index = np.floor(side * (1 + place) / 2).astype(int)
    return np.where((index >= 0) & (index < side), index, -1)


def _pixels(place: np.ndarray, side: int) -> np.ndarray:
    column, row = _index(place.real, side), _index(-place.imag, side)
    return np.where((column >= 0) & (row >= 0), row * side + column, -1)
