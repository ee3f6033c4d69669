"""Convolutional networks that generate images. Never DOLFINx, never MPI."""

from eitdip.networks.decoder import Decoder
from eitdip.networks.initialization import initialize
from eitdip.networks.unet import UNet

__all__ = ["Decoder", "UNet", "initialize"]
