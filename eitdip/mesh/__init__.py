"""Domains: meshes with tagged electrodes, their generation and their files."""

from eitdip.mesh.domain import Domain
from eitdip.mesh.files import read_domain, write_domain
from eitdip.mesh.generate import disk
from eitdip.mesh.solids import ball, cylinder
from eitdip.mesh.tank import Ball, Cylinder, Tank

__all__ = ["Ball", "Cylinder", "Domain", "Tank", "ball", "cylinder", "disk", "read_domain", "write_domain"]
