"""Bodies and images to try things on: inclusions and shapes in bodies, sums of ellipses as images."""

from eitdip.phantoms.ellipses import Ellipses, random_ellipses, shepp_logan
from eitdip.phantoms.ellipsoids import random_ellipsoids
from eitdip.phantoms.inclusions import Bump, Ellipsoid, Inclusion, Phantom, phantom
from eitdip.phantoms.pictures import random_picture
from eitdip.phantoms.shapes import Blob, Crescent, Handle, Polygon, Shape, random_shapes

__all__ = [
    "Blob",
    "Bump",
    "Crescent",
    "Ellipses",
    "Ellipsoid",
    "Handle",
    "Inclusion",
    "Phantom",
    "Polygon",
    "Shape",
    "phantom",
    "random_ellipses",
    "random_ellipsoids",
    "random_picture",
    "random_shapes",
    "shepp_logan",
]
