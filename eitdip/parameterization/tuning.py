"""What of a pretrained network is trained further: all, a part, updates of low rank, or coordinates of a subspace."""

from copy import deepcopy

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrize

from eitdip.errors import OptionError


def only(network: nn.Module, part: str) -> None:
    """Train only the last stages of a network.

    Args:
        network: With `stages`, name to modules, such as `eitdip.networks.UNet`.
        part: One of these names, such as "decoder".

    Raises:
        OptionError: If the network has no such part.
    """
    stages = getattr(network, "stages", {})
    if part not in stages:
        raise OptionError(f"tuned: got {part!r} for this network, expected one of: all, {', '.join(stages)}")
    network.requires_grad_(False)
    for module in stages[part]:
        module.requires_grad_(True)


class LowRank(nn.Module):
    """A weight W plus B A of small rank, of which B and A are trained; B starts at 0.

    Args:
        shape: Of W: (outputs, inputs, ...); the rank is that of a matrix with a row for each output.
        rank: At least 1.
        generator: Draws A.

    References:
        Hu et al. (2021), LoRA, arXiv:2106.09685.
    """

    def __init__(self, shape: tuple[int, ...], rank: int, generator: torch.Generator):
        super().__init__()
        rows, columns = shape[0], shape[1:].numel()
        rank = min(rank, rows, columns)
        self.left = nn.Parameter(torch.zeros(rows, rank))
        self.right = nn.Parameter(torch.randn(rank, columns, generator=generator) / columns**0.5)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.left @ self.right).reshape(weight.shape)


def low_rank(network: nn.Module, rank: int, generator: torch.Generator) -> None:
    """Train only updates of low rank of all convolutions."""
    network.requires_grad_(False)
    for layer in [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Conv3d)]:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight.shape, rank, generator))


class Subspace(nn.Module):
    """A generator whose weights are theta_0 + B^T c, of which only the coordinates c are trained.

    Args:
        generator: With weights theta_0: all its parameters that require gradients, in their order.
        basis: Directions B as rows, shape (r, P), such as right singular vectors of `field_jacobian`, or differences
            of snapshots along a training.

    References:
        Barbano et al. (2023), Image reconstruction via deep image prior subspaces, arXiv:2302.10279.
    """

    def __init__(self, generator: nn.Module, basis: torch.Tensor):
        super().__init__()
        trained = {name: value for name, value in generator.named_parameters() if value.requires_grad}
        self.generator = generator.requires_grad_(False)
        self.shape = tuple(generator.shape)
        self._names = list(trained)
        sizes = [value.numel() for value in trained.values()]
        if basis.ndim != 2 or basis.shape[1] != sum(sizes):
            raise OptionError(f"basis: got shape {tuple(basis.shape)}, expected (r, {sum(sizes)}), one row a direction")
        self.coordinates = nn.Parameter(torch.zeros(len(basis), dtype=basis.dtype))
        self.register_buffer("basis", basis)
        self._sizes = sizes

    def forward(self) -> torch.Tensor:
        return functional_call(self.generator, self._moved(), ())

    @torch.no_grad()
    def there(self) -> nn.Module:
        """A copy of the generator with the weights at the present coordinates."""
        made = deepcopy(self.generator)
        for name, value in self._moved().items():
            made.get_parameter(name).copy_(value)
        return made

    def _moved(self) -> dict[str, torch.Tensor]:
        weights = dict(self.generator.named_parameters())
        steps = (self.coordinates @ self.basis).split(self._sizes)
        return {
            name: weights[name] + step.reshape(weights[name].shape).to(weights[name].dtype)
            for name, step in zip(self._names, steps, strict=True)
        }


class Classes(nn.Module):
    """Probabilities of classes as a raw field: sum over classes of p level exp(amount), p the softmax of logits.

    The amounts are trained too: objects of a class are all alike, but how much they differ from the rest is not known.

    Args:
        logits: Generator of them, shape (classes, *shape).
        levels: Raw value of each class, before the link; classes with the level 0 have no amount.
    """

    def __init__(self, logits: nn.Module, levels: tuple[float, ...]):
        super().__init__()
        if tuple(logits.shape)[:1] != (len(levels),):
            raise OptionError(
                f"levels: got {len(levels)} for a generator of {tuple(logits.shape)}, expected one a class"
            )
        self.logits, self.shape = logits, tuple(logits.shape)[1:]
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float64))
        self.amounts = nn.Parameter(torch.zeros(len(levels), dtype=torch.float64))

    def probabilities(self) -> torch.Tensor:
        """Of the classes, shape (classes, *shape)."""
        return self.logits().softmax(dim=0)

    def forward(self) -> torch.Tensor:
        shares = self.probabilities()
        return torch.tensordot((self.levels * self.amounts.exp()).to(shares), shares, dims=1)
