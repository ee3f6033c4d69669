"""Edge lengths of plane meshes near electrodes."""

import numpy as np

_GROWTH = 0.7  # of edge lengths per length, where they grow linearly
_REACH = 1.25  # electrodes or gaps, whichever are shorter: how far from an end edges grow as a square root
_SHARE = 0.5  # of an electrode or gap: the longest edge within the reach
_TIP = 16  # the longest edge within the reach over the shortest


class Grading:
    """Edge lengths of a disk with electrodes.

    At the distance d from the nearest end of an electrode the length is
        tip + max(min(g d, c sqrt(d)), g (d - reach) + far - tip),    c = (far - tip) / sqrt(reach),
    at most h, where far = min(h, half an electrode or gap) and g is the growth. The square root
    spreads the error of the electrode model's potential, whose gradient is singular at the ends,
    evenly up to the middles of electrodes and gaps; beyond, and right at thin electrodes, lengths grow
    linearly. All of them follow h. With 16 electrodes over half of the wall and h = 0.052 radius, the voltages
    of a homogeneous disk are those of a conductivity of 0.991 instead of 1; with edges of h everywhere it was 0.951.
    """

    def __init__(self, radius: float, h: float, outer: float, electrodes: int, width: float):
        self.radius, self.h, self.outer, self.electrodes, self.width = radius, h, outer, electrodes, width
        self.gap = 2 * np.pi * radius / electrodes - width
        shorter = min(width, self.gap)
        self.far, self.reach = min(outer, _SHARE * shorter), _REACH * shorter
        self.tip = self.far / _TIP
        self.slope = (self.far - self.tip) / np.sqrt(self.reach)

    def at_ends(self, d: np.ndarray) -> np.ndarray:
        """Edge lengths on the boundary at distances from an end, m."""
        near = np.minimum(_GROWTH * d, self.slope * np.sqrt(d))
        return np.minimum(self.outer, self.tip + np.maximum(near, _GROWTH * (d - self.reach) + self.far - self.tip))

    def nodes(self, length: float) -> np.ndarray:
        """Places of nodes along a part of the boundary between two ends, 0 to 1, symmetric to the middle."""
        d = 0.5 * length * np.linspace(0, 1, 2001) ** 2
        inverse = 1 / self.at_ends(d)
        count = np.r_[0, np.cumsum(0.5 * (inverse[1:] + inverse[:-1]) * np.diff(d))]
        edges = max(2, int(np.ceil(2 * count[-1] - 1e-9)))
        half = np.interp(np.arange(edges // 2 + 1) * 2 * count[-1] / edges, count, d) / length
        return np.r_[half, 1 - half[: edges - edges // 2][::-1]]

    def impose(self, gmsh, ends: list[int]) -> None:
        """Tell gmsh the edge lengths within the disk, given its points at the ends of electrodes."""
        for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
            gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)
        field = gmsh.model.mesh.field
        field.add("Distance", 1)
        field.setNumbers(1, "PointsList", ends)
        field.add("MathEval", 2)
        near = f"Min({_GROWTH} * F1, {self.slope:.17g} * Sqrt(F1))"
        away = f"{_GROWTH} * (F1 - {self.reach:.17g}) + {self.far - self.tip:.17g}"
        inwards = f"{self.outer:.17g} + {_GROWTH} * ({self.radius:.17g} - Sqrt(x * x + y * y))"
        field.setString(2, "F", f"Min({self.h:.17g}, Min({inwards}, {self.tip:.17g} + Max({near}, {away})))")
        field.setAsBackgroundMesh(2)
