"""The description of a round tank, independent of any mesh."""

from dataclasses import asdict, dataclass

from eitdip.errors import OptionError
from eitdip.mesh.domain import Domain
from eitdip.mesh.generate import disk


@dataclass(frozen=True)
class Tank:
    """A round tank with equal, equally spaced electrodes.

    Args:
        radius: m.
        electrodes: Number L; 0 for a disk whose whole boundary is driven and measured.
        width: Length of each electrode along the wall, m.
        first: Angle of the middle of electrode 1, degrees from the x axis.
        clockwise: Numbering direction.

    Raises:
        OptionError: If a size is out of range.
    """

    radius: float
    electrodes: int = 0
    width: float = 0.0
    first: float = 90.0
    clockwise: bool = False

    def __post_init__(self):
        if not self.radius > 0:
            raise OptionError(f"radius: got {self.radius}, expected > 0, m")
        if self.electrodes < 0 or self.electrodes == 1:
            raise OptionError(f"electrodes: got {self.electrodes}, expected 0 or at least 2")
        if self.electrodes and not 0 < self.width * self.electrodes < 6.283185 * self.radius:
            raise OptionError(f"width: got {self.width} m, expected > 0 and {self.electrodes} electrodes not to touch")

    def mesh(self, h: float, *, degree: int = 1, h_boundary: float | None = None) -> Domain:
        """A mesh with edge length h, m; see `eitdip.mesh.disk`."""
        return disk(h=h, degree=degree, h_boundary=h_boundary, **asdict(self))
