"""The operators of deepinv as ours: the one file that imports it, and only when an operator is built."""

from types import ModuleType

import torch

from eitdip.errors import OptionError, ShapeError, choose, require
from eitdip.imaging.operator import ImagingOperator
from eitdip.operator import Space

_PRECISIONS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "complex64": torch.float32,
    "complex128": torch.float64,
}


def library() -> ModuleType:
    """`deepinv.physics`.

    Raises:
        MissingPackageError: If it is not installed.
    """
    return require("deepinv.physics", "imaging")


class DeepInverse(ImagingOperator):
    """A linear physics of deepinv, without its noise model.

    deepinv's tensors are (B, C, ...). Here an image (H, W) is one channel, an image (C, H, W) has C, and a complex
    image (H, W) is the two channels real and imaginary part; the axis of channels goes where the image has none, and
    the data have the axes that remain. Only `A` and `A_adjoint` are used, and those of a few physics are no exact
    transposes: `eitdip.verify.adjoint_error` tells.

    Args:
        physics: A `deepinv.physics.LinearPhysics`. It becomes a part of the operator, and its arrays are converted to
            the precision of the images.
        domain: Of images.
        label: What the data are, with their unit.

    Raises:
        OptionError: If the physics is not linear, or the dtype is unknown.
        ShapeError: If the images have not two or three axes, or are complex and have three, or do not fit the physics.
    """

    def __init__(self, physics, domain: Space, label: str = ""):
        if not isinstance(physics, library().LinearPhysics):
            raise OptionError(f"physics: got {type(physics).__name__}, expected a LinearPhysics of deepinv")
        precision = choose("dtype", domain.dtype, _PRECISIONS)
        complex_image = domain.dtype.startswith("complex")
        if len(domain.shape) not in ((2,) if complex_image else (2, 3)):
            expected = "(H, W)" if complex_image else "(H, W) or (C, H, W)"
            raise ShapeError(f"images: got shape {domain.shape} of {domain.dtype}, expected {expected}")
        _convert(physics, precision)
        gray = len(domain.shape) == 2
        data = _trial(physics, _to_channels(torch.zeros(1, *domain.shape, dtype=getattr(torch, domain.dtype)), gray))
        # Of gray images the data have one channel, or they are vectors without any.
        one_channel = gray and not complex_image and data.ndim > 2
        shape = tuple(data.shape[2 if complex_image or one_channel else 1 :])
        super().__init__(domain, Space(shape, domain.dtype, label))
        self.physics, self._gray, self._one_channel = physics, gray, one_channel

    def forward(self, x):
        return _from_channels(self.physics.A(_to_channels(x, self._gray)), self.range)

    def transpose(self, y):
        return _from_channels(self.physics.A_adjoint(_to_channels(y, self._one_channel)), self.domain)


class PartialIsometry(DeepInverse):
    """A physics with A A* A = A, such as a mask: the adjoint is its pseudo-inverse."""

    def pinv(self, y):
        """`A* y`, the least-squares solution of least norm."""
        return self.adjoint(y)


def _to_channels(t: torch.Tensor, one: bool) -> torch.Tensor:
    """(B, ...) complex to (B, 2, ...), and to (B, 1, ...) if it is one channel."""
    if t.is_complex():
        return torch.view_as_real(t.resolve_conj()).movedim(-1, 1)
    return t[:, None] if one else t


def _from_channels(t: torch.Tensor, space: Space) -> torch.Tensor:
    if space.dtype.startswith("complex"):
        return torch.view_as_complex(t.movedim(1, -1).contiguous())
    return t.reshape(len(t), *space.shape)


def _trial(physics, zero: torch.Tensor) -> torch.Tensor:
    """What the physics makes of an image of zeros, or an error that says why it makes nothing."""
    try:
        with torch.no_grad():
            return physics.A(zero)
    except (RuntimeError, ValueError) as error:
        raise ShapeError(
            f"images: got shape {tuple(zero.shape[1:])} (with channels), which {type(physics).__name__} refuses "
            f"({error}); use the shape that it was made for"
        ) from error


def _convert(physics, precision: torch.dtype) -> None:
    """Real and complex arrays to a precision; `Module.to` would drop imaginary parts."""
    for module in physics.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer.is_floating_point():
                setattr(module, name, buffer.to(precision))
            elif buffer.is_complex():
                setattr(module, name, buffer.to(precision.to_complex()))
        if isinstance(getattr(module, "dtype", None), torch.dtype):
            module.dtype = precision  # some physics cast what they are given to it
