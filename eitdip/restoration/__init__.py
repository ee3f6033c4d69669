"""Linear tasks y = A x + noise: images from pictures, sinograms, k-space and counts. Never DOLFINx, never MPI."""

from eitdip.restoration.build import Parts, build
from eitdip.restoration.options import METHODS, ImageOptions, image_options
from eitdip.restoration.session import Restoration, restore
from eitdip.restoration.task import Task

__all__ = ["METHODS", "ImageOptions", "Parts", "Restoration", "Task", "build", "image_options", "restore"]
