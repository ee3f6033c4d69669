"""The turns and reflections that take a round body, with equal electrodes or without any, to itself.

Turned by an angle t, a cosine of frequency n becomes cos(nt) cos - sin(nt) sin of it, and a reflection about the line
at angle a / 2 makes it cos(na) cos + sin(na) sin: bodies whose whole boundary is driven are measured in such functions,
or in spherical harmonics, which turn about the vertical axis likewise.
"""

from dataclasses import dataclass

import numpy as np

from eitdip.errors import OptionError
from eitdip.mesh import Ball, Cylinder, Tank

_TURNS = 16  # of a body that may be turned by any angle


@dataclass(frozen=True, eq=False)
class Symmetries:
    """What each symmetry of a tank does to transfer matrices and to images of classes.

    A ring of n electrodes has 2 n of them, of all of a body without any 32 are taken; a solid has twice as many if it
    is the same upside down.

    Args:
        turns: What becomes of currents, or of boundary functions: orthogonal matrices, shape (G, L, L).
        pixels: Which pixel (its place in the flattened image of classes, or -1 for none) lies at each of 2 x 2 points
            in each pixel of the target, shape (G, 2 H, 2 W).
        slices: Which slice of classes (or -1 for none) lies at each of two heights in each slice of the target, shape
            (G, 2 D); of a plane tank the one, (G, 1).
        shape: (H, W) or (D, H, W) of target images.
    """

    turns: np.ndarray
    pixels: np.ndarray
    slices: np.ndarray
    shape: tuple[int, ...]

    @staticmethod
    def of(
        tank: Tank | Cylinder | Ball, sides: tuple[int, ...], window: float, shape: tuple[int, ...], functions: int = 0
    ) -> "Symmetries":
        """Those of a tank.

        Args:
            tank: The tank; electrodes equal and equally spaced around its axis.
            sides: Shape (H, W) or (D, H, W) of images of classes, over the bounding square or box.
            window: Extent of target images over that.
            shape: (H, W) or (D, H, W) of target images.
            functions: Number of boundary functions (`eitdip.problems.bodies.boundary_functions`) of a body without
                electrodes.

        Raises:
            OptionError: If images have another dimension than the tank.
        """
        if not tank.dimension == len(sides) == len(shape):
            raise OptionError(f"images: got shapes {sides} and {shape} for a tank of {tank.dimension} dimensions")
        count, first = tank.electrodes or _TURNS, np.radians(tank.first)
        x, y = np.meshgrid(*(_points(n, window) for n in shape[:-3:-1]))
        place, number = (x - 1j * y), np.arange(count)  # row 0 at the top
        ring, pixels, angles = [], [], []
        for mirrored in (False, True):
            for steps in number:
                ring.append((steps - number if mirrored else number - steps) % count)
                turn = 2 * np.pi * steps / count * (-1 if tank.clockwise else 1)
                before = place * np.exp(-1j * turn)
                if mirrored:  # about the line through electrode 1
                    before = before.conj() * np.exp(2j * first)
                pixels.append(_pixels(before, sides[-1]))
                angles.append((turn + 2 * first, True) if mirrored else (turn, False))
        rings, slices = np.arange(len(tank.rings)), [np.zeros(1, int)]
        if tank.dimension == 3:
            z = _points(shape[0], window)
            slices = [_index(z, sides[0]), _index(-z, sides[0])]
        heights, orders = np.array(tank.heights), [rings]
        if tank.dimension == 3 and np.allclose(heights, -heights[::-1], atol=1e-6 * tank.radius):
            orders.append(rings[::-1])
        if functions:
            waves = _waves(tank.dimension, functions)
            turns = [_turned(waves, *angle, flipped) for flipped in range(len(orders)) for angle in angles]
        else:
            unit = np.eye(tank.electrode_count)
            turns = [unit[(count * each[:, None] + order).ravel()] for each in orders for order in ring]
        return Symmetries(
            np.array(turns),
            np.concatenate([pixels] * len(orders)),
            np.repeat(slices[: len(orders)], len(ring), axis=0),
            tuple(shape),
        )

    def __len__(self) -> int:
        return len(self.turns)

    def transfer(self, number: int, matrix: np.ndarray) -> np.ndarray:
        """The transfer matrix (L, L) of the turned tank."""
        return self.turns[number] @ matrix @ self.turns[number].T

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


def _waves(dimension: int, count: int) -> list[tuple[int, int, int, int]]:
    """Of boundary functions: frequency around the axis, places of cosine and sine, and sign when put upside down."""
    if dimension == 2:
        return [(n, 2 * n - 2, 2 * n - 1, 1) for n in range(1, count // 2 + 1)]
    degrees = range(1, round(np.sqrt(count + 1)))
    middles = {degree: degree**2 - 1 + degree for degree in degrees}  # the place of m = 0
    return [(m, middles[n] + m, middles[n] - m, (-1) ** (n + m)) for n in degrees for m in range(n + 1)]


def _turned(waves: list, angle: float, mirrored: bool, flipped: bool) -> np.ndarray:
    """T of functions b, with b(g^-1 x) = T b(x) for the turn or reflection g."""
    count = 1 + max(max(cosine, sine) for _, cosine, sine, _ in waves)
    turn = np.zeros((count, count))
    for frequency, cosine, sine, parity in waves:
        sign = parity if flipped else 1
        c, s = sign * np.cos(frequency * angle), sign * np.sin(frequency * angle)
        if frequency:
            turn[np.ix_([cosine, sine], [cosine, sine])] = [[c, s], [s, -c]] if mirrored else [[c, -s], [s, c]]
        else:  # the same all around
            turn[cosine, cosine] = sign
    return turn
