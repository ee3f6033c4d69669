"""Edge lengths of plane meshes near electrodes."""

import numpy as np

_GROWTH = 0.7  # of edge lengths per length away from the ends of electrodes, or inwards from the boundary
_REACH = 1.5  # electrodes or gaps, whichever are shorter: that far from an end edges have their full length


class Grading:
    """Edge lengths of a disk with electrodes.

    At the distance d from the nearest end of an electrode the length is
        tip + min(GROWTH d, (h - tip) sqrt(d / reach)),
    at most h. The square root spreads the error of the electrode model's potential evenly between the ends, where its
    gradient has a logarithm, and the gaps; straight growth is right around electrodes that are thin. The smallest
    length follows h, so that halving h halves all lengths.
    """

    def __init__(self, radius: float, h: float, outer: float, electrodes: int, width: float):
        self.radius, self.h, self.outer, self.electrodes, self.width = radius, h, outer, electrodes, width
        self.gap = 2 * np.pi * radius / electrodes - width
        self.tip = min(outer / 16, width / 8, self.gap / 2)
        self.slope = (outer - self.tip) / np.sqrt(_REACH * min(width, self.gap))

    def at_ends(self, d: np.ndarray) -> np.ndarray:
        """Edge lengths on the boundary at distances from an end, m."""
        return np.minimum(self.outer, self.tip + np.minimum(_GROWTH * d, self.slope * np.sqrt(d)))

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
        inwards = f"{self.outer:.17g} + {_GROWTH} * ({self.radius:.17g} - Sqrt(x * x + y * y))"
        near = f"{self.tip:.17g} + Min({_GROWTH} * F1, {self.slope:.17g} * Sqrt(F1))"
        field.setString(2, "F", f"Min({self.h:.17g}, Min({inwards}, {near}))")
        field.setAsBackgroundMesh(2)
