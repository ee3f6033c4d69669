"""Bodies and images to try things on: inclusions in bodies, sums of ellipses as images."""

from eitdip.phantoms.ellipses import Ellipses, random_ellipses, shepp_logan
from eitdip.phantoms.inclusions import Bump, Ellipsoid, Inclusion, Phantom, phantom

__all__ = ["Bump", "Ellipses", "Ellipsoid", "Inclusion", "Phantom", "phantom", "random_ellipses", "shepp_logan"]
