"""Networks that generate images, volumes and fields of coordinates. Never DOLFINx, never MPI."""

from eitdip.networks.coordinates import CoordinateNetwork
from eitdip.networks.decoder import ConvolutionalDecoder, Decoder, DeepDecoder
from eitdip.networks.initialization import initialize
from eitdip.networks.skip import SkipNetwork
from eitdip.networks.unet import UNet

__all__ = ["ConvolutionalDecoder", "CoordinateNetwork", "Decoder", "DeepDecoder", "SkipNetwork", "UNet", "initialize"]
