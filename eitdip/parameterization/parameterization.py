"""Unknowns x = P link(f_theta(z)): a field generator, a link to the values allowed, a map to what the model takes.

The three parts are swapped independently. Every generator starts at zero, and every link maps zero to its `start`, so
the first field is that constant whatever is chosen.
"""

import warnings

import torch
from scipy import sparse
from torch import nn

from eitdip.errors import NotPositiveError, OptionError, ShapeError
from eitdip.operator import Matrix
from eitdip.parameterization.links import Link


class Parameterization(nn.Module):
    """x = P link(generator() + drift), of conductivities and of images.

    Args:
        generator: Module whose forward() gives the raw field and whose `shape` is its shape.
        link: Of the values.
        field_map: P, from the generator's field to the model's unknowns; None if they are the same.
        fit_drift: Fit the scalar drift, which lets the background differ from the link's start: water
            warms up between the measurement of the empty tank and that of the objects (8 % in one
            of the KTC2023 tanks). Else it is 0.
        unit: Size of the values: penalties then see the field over it. None for positive fields, such as
            conductivities: they see the logarithm of the field over its background.
        complex: Take the two channels of the generator, (2, *shape), as real and imaginary part.

    Raises:
        ShapeError: If the map does not take the generator's field, or the field is to be complex and has not two
            channels.
        NotPositiveError: If the unit is not > 0, or there is none for fields of any sign or complex ones.
        OptionError: If there is a map of complex fields.
    """

    def __init__(
        self,
        generator: nn.Module,
        link: Link,
        field_map: Matrix | None = None,
        *,
        fit_drift: bool = False,
        unit: float | None = None,
        complex: bool = False,
    ):
        super().__init__()
        self.generator, self.link, self.fit_drift, self.complex = generator, link, fit_drift, complex
        self.unit = None if unit is None else float(unit)
        shape = tuple(generator.shape)
        if complex and (len(shape) < 2 or shape[0] != 2):
            raise ShapeError(f"generator: got fields {shape}, expected (2, H, W) for real and imaginary part")
        if (unit is None and (complex or not link.start > 0)) or (unit is not None and not 0 < unit < float("inf")):
            raise NotPositiveError(
                f"unit: got {unit} for values that start at {link.start:g}, expected a number > 0; "
                "without a unit, penalties see logarithms, of positive real values"
            )
        drift = torch.zeros((), dtype=torch.float64)
        if fit_drift:
            self.drift = nn.Parameter(drift)
        else:
            self.register_buffer("drift", drift)
        if complex and field_map is not None:
            raise OptionError("field_map: got one for a complex field, expected none")
        if field_map is not None and field_map.domain.shape != shape:
            raise ShapeError(f"field_map: takes {field_map.domain.shape}, but the generator gives {shape}")
        self.register_buffer("_map", None if field_map is None else _sparse(field_map), persistent=False)

    def raw(self) -> torch.Tensor:
        """What the link takes, in the generator's shape: its field, with the drift if that is fitted."""
        raw = self.generator()
        return raw + self.drift if self.fit_drift else raw

    def field(self) -> torch.Tensor:
        """The values on the generator's own grid, in the unit of the link's start; complex without their channels."""
        values = self.link(self.raw())
        return torch.complex(values[0], values[1]) if self.complex else values

    def contrast(self, field: torch.Tensor) -> torch.Tensor:
        """What penalties see, real, in the generator's shape: log of the field over its background, or field / unit."""
        if self.unit is None:
            return torch.log(field / self.link(self.drift))
        return (torch.view_as_real(field).movedim(-1, 0) if self.complex else field) / self.unit

    def to_unknowns(self, field: torch.Tensor) -> torch.Tensor:
        """P applied to a field of values: shape (N,), or the field itself without a map."""
        return field if self._map is None else self._map @ field.reshape(-1)

    def matrix(self) -> sparse.csr_array | None:
        """P on flattened fields, shape (N, n); None if it is the identity."""
        if self._map is None:
            return None
        parts = self._map.values(), self._map.col_indices(), self._map.crow_indices()
        return sparse.csr_array(tuple(part.cpu().numpy() for part in parts), shape=tuple(self._map.shape))

    def forward(self) -> torch.Tensor:
        """The model's unknowns x."""
        return self.to_unknowns(self.field())


def _sparse(matrix: Matrix) -> torch.Tensor:
    csr = matrix.matrix.tocsr()
    with torch.sparse.check_sparse_tensor_invariants(False), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(csr.indptr.astype("int64")),
            torch.from_numpy(csr.indices.astype("int64")),
            torch.from_numpy(csr.data.astype("float64")),
            size=csr.shape,
        )
