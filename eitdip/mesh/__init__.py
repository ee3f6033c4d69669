"""Domains: meshes with tagged electrodes, their generation and their files."""

from eitdip.mesh.domain import Domain
from eitdip.mesh.files import read_domain, write_domain
from eitdip.mesh.generate import disk
from eitdip.mesh.tank import Tank

__all__ = ["Domain", "Tank", "disk", "read_domain", "write_domain"]
