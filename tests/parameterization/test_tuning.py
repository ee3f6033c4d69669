"""What of a network is trained further: each way starts where the network is, and leaves the rest as it is."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError
from eitdip.imaging import DenseOperator
from eitdip.networks import Decoder, UNet, initialize
from eitdip.objective import Variational
from eitdip.objective.misfit import LeastSquares
from eitdip.operator import Space
from eitdip.parameterization import Affine, DeepImagePrior, Exp, FreeField, Parameterization
from eitdip.parameterization.tuning import Classes, LowRank, Subspace, low_rank, only
from eitdip.verify import convergence_order

SIDE = 8


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def prior(outputs: int = 1, seed: int = 0) -> DeepImagePrior:
    """A U-Net with random weights everywhere on a random image."""
    network = initialize(UNet(1, (4, 6), levels=1, skips=2, outputs=outputs, scaled=True), generator(seed))
    source = generator(seed + 1)
    with torch.no_grad():
        for value in network.parameters():
            value += 0.3 * torch.randn(value.shape, generator=source)
    return DeepImagePrior(network, torch.randn(1, 1, SIDE, SIDE, generator=source))


def directions(made, count: int = 3) -> torch.Tensor:
    size = sum(value.numel() for value in made.parameters() if value.requires_grad)
    return torch.randn(count, size, generator=generator(4), dtype=torch.float64) / size**0.5


def tuned(kind: str):
    """A generator that is tuned so, and its network."""
    made = prior(outputs=3 if kind.startswith("classes") else 1)
    network = made.network
    made = Classes(made, (0.0, -1.5, 2.0)) if kind.startswith("classes") else made
    if kind in network.stages:
        only(network, kind)
    if "low-rank" in kind:
        low_rank(network, 2, generator(7))
    return (Subspace(made, directions(made)) if "subspace" in kind else made), network


KINDS = ("all", "decoder", "last", "low-rank", "subspace", "classes", "classes low-rank", "classes subspace")
every_kind = pytest.mark.parametrize("kind", KINDS)


def objective(made) -> Variational:
    matrix = torch.randn(12, SIDE * SIDE, generator=generator(2)).double().numpy() / SIDE
    model = DenseOperator(matrix, Space((SIDE, SIDE)), Space((12,)))
    data = np.random.default_rng(0).standard_normal(12)
    return Variational(model, Parameterization(made, Exp(0.7)), LeastSquares(data, 0.1), {})


def state(network) -> dict[str, torch.Tensor]:
    return {name.replace("parametrizations.", "").replace(".original", ""): value.clone() for name, value in
            network.state_dict().items()}  # fmt: skip


@every_kind
def test_it_starts_at_the_pretrained_answer_exactly(kind):
    made, _ = tuned(kind)
    reference = prior(outputs=3 if kind.startswith("classes") else 1)()
    if kind.startswith("classes"):
        levels = torch.tensor([0.0, -1.5, 2.0], dtype=torch.float64)
        reference = torch.tensordot(levels, reference.softmax(dim=0), dims=1)
    assert torch.equal(made(), reference) and reference.std() > 0.01 and made.shape == (SIDE, SIDE)


def moved_by_steps(kind: str) -> tuple[set[str], set[str]]:
    """Names of the network's weights that three steps of Adam change, and those that they leave."""
    made, network = tuned(kind)
    before, target = state(network), objective(made)
    optimizer = torch.optim.Adam([value for value in target.parameters() if value.requires_grad], lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        target().total.backward()
        optimizer.step()
    after = state(network)
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert not torch.equal(made(), tuned(kind)[0]())
    return changed, set(before) - changed


def test_all_weights_are_trained():
    assert not moved_by_steps("all")[1]


@pytest.mark.parametrize(
    ("kind", "parts"),
    [("decoder", {"skip", "up", "output", "scale_out"}), ("last", {"up", "output", "scale_out"})],
)
def test_a_part_is_trained_and_nothing_else(kind, parts):
    changed, left = moved_by_steps(kind)
    assert {name.split(".")[0] for name in changed} == parts
    assert {name.split(".")[0] for name in left} == {"enter", "down", "scale_in", "skip"} - parts


def test_of_low_rank_updates_only_their_factors_are_trained():
    made, network = tuned("low-rank")
    trained = {name for name, value in made.named_parameters() if value.requires_grad}
    assert trained and all(name.endswith(("0.left", "0.right")) for name in trained)
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(trained) == 2 * len(convolutions)
    changed, _ = moved_by_steps("low-rank")
    assert changed and all(name.endswith(("0.left", "0.right")) for name in changed)


@pytest.mark.parametrize("kind", ["subspace", "classes subspace"])
def test_of_a_subspace_only_the_coordinates_are_trained(kind):
    made, _ = tuned(kind)
    assert [name for name, value in made.named_parameters() if value.requires_grad] == ["coordinates"]
    assert not moved_by_steps(kind)[0]


def test_the_amounts_of_classes_are_trained():
    made, _ = tuned("classes")
    assert made.amounts.requires_grad
    target = objective(made)
    target().total.backward()
    assert made.amounts.grad[0] == 0 and (made.amounts.grad[1:] != 0).all()


@every_kind
def test_gradients_are_those_of_the_objective(kind):
    """Taylor's theorem in double precision; small steps, that cross no kink of the activations."""
    made, network = tuned(kind)
    network.double()
    for part in made.modules():
        if isinstance(part, DeepImagePrior):
            part.latent = part.latent.double()
    target = objective(made)
    trained = [value for value in target.parameters() if value.requires_grad]
    source = generator(9)
    with torch.no_grad():  # away from where the factors of low rank are 0
        for value in trained:
            value += 0.1 * torch.randn(value.shape, generator=source, dtype=value.dtype)
    start = [value.detach().clone() for value in trained]
    along = [torch.randn(value.shape, generator=source, dtype=value.dtype) for value in trained]
    terms = target()
    slopes = torch.autograd.grad(terms.total, trained)
    slope = sum(float((one * other).sum()) for one, other in zip(slopes, along, strict=True))
    first, rests, steps = terms.total.item(), [], [4e-5, 2e-5, 1e-5, 5e-6]
    for step in steps:
        with torch.no_grad():
            for value, from_, direction in zip(trained, start, along, strict=True):
                value.copy_(from_ + step * direction)
            rests.append(abs(target().total.item() - first - step * slope))
    assert abs(slope) > 1e-3 and convergence_order(steps, rests)[-1] > 1.9


def test_a_low_rank_update_by_hand():
    made = LowRank(torch.Size((3, 2, 2, 2)), 2, generator(0))
    weight = torch.randn(3, 2, 2, 2, generator=generator(1))
    assert made.left.shape == (3, 2) and made.right.shape == (2, 8) and torch.equal(made(weight), weight)
    with torch.no_grad():
        made.left.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    found = made(weight) - weight
    torch.testing.assert_close(found[0].flatten(), made.right[0])
    torch.testing.assert_close(found[1].flatten(), 2 * made.right[1])
    assert not found[2].any()
    drawn = LowRank(torch.Size((40, 30, 3, 3)), 40, generator(0)).right.detach()
    assert drawn.std().item() == pytest.approx(270**-0.5, rel=0.02)
    assert LowRank(torch.Size((1, 2, 3, 3)), 8, generator(0)).left.shape == (1, 1)  # the rank is at most that of W


def test_a_subspace_by_hand():
    """Free pixels: the weights are the field."""
    field = FreeField((2, 3))
    with torch.no_grad():
        field.values.copy_(torch.arange(6.0).reshape(2, 3))
    basis = torch.tensor([[1.0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2.0, 3.0]], dtype=torch.float64)
    made = Subspace(field, basis)
    with torch.no_grad():
        made.coordinates.copy_(torch.tensor([5.0, -1.0]))
    expected = torch.tensor([[5.0, 1, 2], [3, 2, 2]], dtype=torch.float64)
    assert torch.equal(made(), expected) and torch.equal(
        field.values.detach(), expected * 0 + torch.arange(6.0).view(2, 3)
    )


def test_the_weights_at_the_coordinates_are_those_of_the_field():
    made, _ = tuned("classes subspace")
    with torch.no_grad():
        made.coordinates.copy_(torch.tensor([0.5, -1.0, 2.0]))
    there = made.there()
    torch.testing.assert_close(there(), made())
    assert not torch.equal(there(), made.generator())
    levels = made.generator.levels * there.amounts.exp()
    torch.testing.assert_close(torch.tensordot(levels, there.probabilities(), dims=1), made())


def test_directions_are_of_the_trained_weights_in_their_order():
    made = prior()
    only(made.network, "last")
    names = [name for name, value in made.named_parameters() if value.requires_grad]
    sizes = [value.numel() for value in made.parameters() if value.requires_grad]
    basis = torch.zeros(1, sum(sizes), dtype=torch.float64)
    basis[0, -sizes[-1] :] = 1.0
    moved = Subspace(made, basis)
    assert names[-1] == "network.scale_out.offset"
    before = moved().detach()
    with torch.no_grad():
        moved.coordinates.fill_(0.25)
    torch.testing.assert_close(moved().detach(), before + 0.25)


def test_classes_by_hand():
    class Fixed(torch.nn.Module):
        shape = (3, 1, 2)

        def forward(self):
            return torch.log(torch.tensor([[[1.0, 2.0]], [[1.0, 3.0]], [[2.0, 5.0]]], dtype=torch.float64))

    made = Classes(Fixed(), (0.0, -1.0, 3.0))
    probabilities = torch.tensor([[[0.25, 0.2]], [[0.25, 0.3]], [[0.5, 0.5]]], dtype=torch.float64)
    torch.testing.assert_close(made.probabilities(), probabilities)
    torch.testing.assert_close(made(), torch.tensor([[-0.25 + 1.5, -0.3 + 1.5]], dtype=torch.float64))
    with torch.no_grad():
        made.amounts.copy_(torch.tensor([9.0, np.log(2.0), np.log(0.5)]))
    torch.testing.assert_close(made(), torch.tensor([[-0.5 + 0.75, -0.6 + 0.75]], dtype=torch.float64))
    assert made.shape == (1, 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(OptionError, match=r"tuned: got 'first' for this network, expected one of: all, decoder, last"):
        only(prior().network, "first")
    with pytest.raises(OptionError, match="tuned: got 'decoder' for this network, expected one of: all"):
        only(Decoder(), "decoder")
    for shape in ((3, 5), (6,)):
        with pytest.raises(OptionError, match=r"basis: got shape .*, expected \(r, 6\), one row a direction"):
            Subspace(FreeField((2, 3)), torch.zeros(shape))
    with pytest.raises(OptionError, match=r"levels: got 2 for a generator of \(3, 8, 8\), expected one a class"):
        Classes(prior(outputs=3), (0.0, 1.0))


def test_the_field_is_in_the_unit_of_the_link():
    made, _ = tuned("subspace")
    field = Parameterization(made, Affine(1.0, 2.0), unit=1.0)
    torch.testing.assert_close(field(), 1 + 2 * made())
