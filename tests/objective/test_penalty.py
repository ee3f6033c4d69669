"""Total variation, sparsity and Tikhonov penalties on images and meshes."""

import numpy as np
import pytest
import torch

from eitdip.errors import OptionError, ShapeError
from eitdip.objective.differences import (
    MeshGradients,
    MeshJumps,
    PixelDifferences,
    Values,
    differences,
    differences_transposed,
)
from eitdip.objective.penalty import Proximity, Tikhonov, TotalVariation
from tests.cases.meshes import rectangle, ring_disk
from tests.cases.solids import box


def step(rows: int, columns: int, height: float = 1.0) -> torch.Tensor:
    """Left half 0, right half `height`."""
    image = torch.zeros(rows, columns, dtype=torch.float64)
    image[:, columns // 2 :] = height
    return image


def disk_image(size: int, radius: float, edge: float = 1.0) -> torch.Tensor:
    """Disk in the window [-1, 1]^2, its edge `edge` pixels wide."""
    x = (torch.arange(size, dtype=torch.float64) + 0.5) * 2 / size - 1
    distance = radius - torch.hypot(x[:, None], x[None, :])
    return (distance * size / 2 / edge + 0.5).clamp(0, 1)


@pytest.fixture(scope="module")
def mesh():
    return ring_disk(16)


def test_proximity_by_hand():
    anchor = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    penalty = Proximity(anchor)
    x = torch.tensor([[1.0, 4.0], [3.0, 3.0]], dtype=torch.float64, requires_grad=True)
    assert penalty(x).item() == pytest.approx((4 + 1) / 4) and penalty(anchor).item() == 0
    penalty(x).backward()
    torch.testing.assert_close(x.grad, (x.detach() - anchor.detach()) / 2)
    assert anchor.grad is None and list(penalty.state_dict()) == ["anchor"]
    with torch.no_grad():
        anchor.zero_()
    assert penalty(x).item() == pytest.approx(5 / 4)  # its own copy


class TestTotalVariation:
    """Length of jumps times their height."""

    @pytest.mark.parametrize("height", [1.0, -2.0])
    @pytest.mark.parametrize("size", [32, 64, 128])
    def test_of_a_step_is_its_length_times_its_height(self, size, height):
        """64 rows of one jump each, over 64^2 pixels, on any number of pixels."""
        value = TotalVariation(PixelDifferences(), smoothing=1e-9)(step(size, size, height))
        assert float(value) == pytest.approx(abs(height) / 64, rel=1e-6)

    def test_of_a_ramp_does_not_depend_on_its_width(self):
        ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(64, 64)
        assert float(TotalVariation(PixelDifferences(), 1e-9)(ramp)) == pytest.approx(1 / 64, rel=1e-6)

    def test_is_isotropic(self):
        """A corner costs sqrt(2), not 2."""
        image = torch.zeros(64, 64, dtype=torch.float64)
        image[1:, 1:] = 1  # differences at (0, j) and (i, 0), none at (0, 0)
        image[0, 0] = 0
        value = TotalVariation(PixelDifferences(), 1e-9)(1 - image)
        assert float(value) * 64**2 == pytest.approx(63 + 63, rel=1e-5)
        flipped = TotalVariation(PixelDifferences(), 1e-9)((1 - image).flip(0, 1))
        assert float(flipped) * 64**2 == pytest.approx(62 + 62 + np.sqrt(2), rel=1e-5)

    def test_on_a_fitted_mesh_is_the_perimeter(self, mesh):
        inside = torch.tensor(np.linalg.norm(mesh.centroids, axis=1) < 0.5).double()
        value = TotalVariation(MeshJumps(*mesh.jumps), smoothing=1e-9)(3 * inside)
        assert float(value) == pytest.approx(3 * np.pi / 64 / 2, rel=3e-3)

    def test_pixels_and_mesh_agree_on_a_disk(self, mesh):
        inside = torch.tensor(np.linalg.norm(mesh.centroids, axis=1) < 0.5).double()
        on_mesh = float(TotalVariation(MeshJumps(*mesh.jumps))(inside))
        for size in (32, 64, 128):
            on_pixels = float(TotalVariation(PixelDifferences())(disk_image(size, 0.5)))
            assert on_pixels == pytest.approx(on_mesh, rel=0.1)
            stairs = float(TotalVariation(PixelDifferences())(disk_image(size, 0.5, edge=1e-6)))
            assert stairs == pytest.approx(on_mesh, rel=0.2)  # forward differences overrate stairs by 17 %

    def test_does_not_depend_on_the_unit_of_length(self, mesh, rng):
        small = ring_disk(16, radius=0.14)
        field = torch.tensor(rng.standard_normal(len(mesh.cells)))
        one, other = (TotalVariation(MeshJumps(*domain.jumps))(field) for domain in (mesh, small))
        assert float(one) == pytest.approx(float(other), rel=1e-12)

    def test_of_a_constant_is_zero(self, mesh):
        assert float(TotalVariation(PixelDifferences())(torch.full((8, 9), 3.0, dtype=torch.float64))) == 0
        assert float(TotalVariation(MeshJumps(*mesh.jumps))(torch.full((len(mesh.cells),), 3.0))) == 0

    def test_smoothing_makes_small_jumps_quadratic(self):
        tv = TotalVariation(PixelDifferences(), smoothing=0.1)
        one, two = (float(tv(step(64, 64, height))) for height in (1e-3, 2e-3))
        assert two / one == pytest.approx(4, rel=1e-3)
        assert one * 64 == pytest.approx(1e-6 / (2 * 0.1), rel=1e-3)

    @pytest.mark.parametrize("smoothing", [0.0, -1e-3, np.nan])
    def test_smoothing_must_be_positive(self, smoothing):
        with pytest.raises(OptionError, match=r"smoothing: got .*expected > 0"):
            TotalVariation(PixelDifferences(), smoothing)


class TestTikhonov:
    """Squares."""

    def test_without_differences_is_the_mean_square(self):
        assert float(Tikhonov()(torch.tensor([1.0, -3.0]))) == pytest.approx(5)

    def test_of_a_step(self):
        assert float(Tikhonov(PixelDifferences())(step(64, 64, 2.0))) == pytest.approx(4 / 64)

    def test_of_mesh_jumps(self, mesh):
        inside = torch.tensor(np.linalg.norm(mesh.centroids, axis=1) < 0.5).double()
        assert float(Tikhonov(MeshJumps(*mesh.jumps))(3 * inside)) == pytest.approx(9 * np.pi / 64 / 2, rel=3e-3)


@pytest.mark.parametrize("loss", [TotalVariation, Tikhonov])
def test_gradients(loss, rng):
    small = ring_disk(2)
    image = torch.tensor(rng.standard_normal((4, 5)), requires_grad=True)
    field = torch.tensor(rng.standard_normal(len(small.cells)), requires_grad=True)
    assert torch.autograd.gradcheck(loss(PixelDifferences()), image)
    assert torch.autograd.gradcheck(loss(MeshJumps(*small.jumps)), field)


def test_gradient_at_a_constant_is_zero_and_finite():
    image = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    TotalVariation(PixelDifferences())(image).backward()
    assert (image.grad == 0).all()


def test_mesh_jumps_do_not_depend_on_the_order_of_entries(mesh, rng):
    matrix, weights = mesh.jumps
    field = torch.tensor(rng.standard_normal(len(mesh.cells)))
    jumps, kept = MeshJumps(matrix, weights)(field)
    np.testing.assert_allclose(jumps[0], matrix @ field.numpy(), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(kept, weights)


def test_other_shapes_are_refused(mesh):
    with pytest.raises(ShapeError, match=r"image: got shape \(8,\), expected \(H, W\)"):
        TotalVariation(PixelDifferences())(torch.zeros(8))
    with pytest.raises(ShapeError, match=r"image: got shape \(1, 1, 8, 8\)"):
        Tikhonov(PixelDifferences())(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ShapeError, match=rf"cell field: got shape \(8, 8\), expected \({len(mesh.cells)},\)"):
        TotalVariation(MeshJumps(*mesh.jumps))(torch.zeros(8, 8))


class TestVolumes:
    """Penalties of (D, H, W) images, and that they cost what the jumps of a mesh cost."""

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_a_plane_jump_costs_its_area(self, axis):
        """A box of 1 x 2 x 0.5 (z, y, x): a jump over area A costs A w / (64 V), w = 2, V = 1."""
        extents, shape = (1.0, 2.0, 0.5), (8, 12, 10)
        image = torch.zeros(shape, dtype=torch.float64)
        image.narrow(axis, shape[axis] // 2, shape[axis] // 2).fill_(3.0)
        voxel = tuple(extent / count for extent, count in zip(extents, shape, strict=True))
        value = TotalVariation(PixelDifferences(spacing=voxel), 1e-9)(image)
        area = np.prod(extents) / extents[axis]
        assert float(value) == pytest.approx(3 * area * 2 / 64, rel=1e-6)

    def test_voxels_and_mesh_agree(self):
        domain = box(4, 6, 8, (0.5, 2.0, 1.0))  # x, y, z
        above = torch.tensor((domain.centroids[:, 2] > 0.5).astype(float))
        image = torch.zeros((8, 12, 10), dtype=torch.float64)
        image[4:] = 1.0
        by_voxels = TotalVariation(PixelDifferences((1 / 8, 2 / 12, 0.05)), 1e-9)(image)
        by_mesh = TotalVariation(MeshJumps(*domain.jumps), 1e-9)(above)
        assert float(by_mesh) == pytest.approx(float(by_voxels), rel=1e-6)

    @pytest.mark.parametrize("spacing", [None, (1.0, 0.5, 0.7)])
    def test_gradient(self, spacing):
        image = torch.randn(3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        for penalty in (TotalVariation(PixelDifferences(spacing)), Tikhonov(PixelDifferences(spacing))):
            assert torch.autograd.gradcheck(penalty, image.requires_grad_())

    @pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
    def test_channels_share_their_edges(self, shape, rng):
        """Weights are per point, and a colour that is c times grey costs |c| times as much."""
        grey, colour = torch.tensor(rng.standard_normal(shape)), torch.tensor([1.0, 2.0, 2.0], dtype=torch.float64)
        operator = PixelDifferences(dimension=len(shape))
        d, weights = operator(torch.einsum("c,...->c...", colour, grey))
        assert d.shape == (3 * len(shape), *shape) and float(weights) == pytest.approx(1 / grey.numel())
        torch.testing.assert_close(d.square().sum(dim=0), 9 * operator(grey)[0].square().sum(dim=0))
        plain = PixelDifferences()(grey)
        assert torch.equal(operator(grey)[0], plain[0]) and torch.equal(weights, plain[1])

    @pytest.mark.parametrize("dtype", [torch.float32, torch.complex128])
    def test_they_are_the_plain_differences_in_another_unit(self, dtype, rng):
        x = torch.tensor(rng.standard_normal((2, 6, 8))).to(dtype)
        scaled = PixelDifferences((1.0, 0.5), 2)(x)[0].reshape(2, 2, 6, 8)
        torch.testing.assert_close(scaled, differences(x, 2) * torch.tensor([6 / 64, 12 / 64]).reshape(2, 1, 1, 1))

    @pytest.mark.parametrize("axes", [1, 2, 3])
    def test_the_transpose_of_plain_differences(self, axes, rng):
        x = torch.tensor(rng.standard_normal((3, 4, 5)))
        d = torch.tensor(rng.standard_normal((axes, 3, 4, 5)))
        assert float((differences(x, axes) * d).sum()) == pytest.approx(
            float((x * differences_transposed(d, axes)).sum()), rel=1e-12
        )

    def test_wrong_shapes_and_sizes(self):
        with pytest.raises(ShapeError, match=r"image: got shape \(3, 4\), expected 3 axes"):
            PixelDifferences((1.0, 1.0, 1.0))(torch.zeros(3, 4))
        with pytest.raises(ShapeError, match=r"expected \(H, W\) or \(D, H, W\)"):
            PixelDifferences()(torch.zeros(3))
        with pytest.raises(OptionError, match=r"spacing: got \(1.0, 0.0\), expected sizes > 0"):
            PixelDifferences((1.0, 0.0))
        for wrong in ((None, 4), ((1.0, 1.0), 3)):
            with pytest.raises(OptionError, match="dimension: got"):
                PixelDifferences(*wrong)
        for operator, shape in ((PixelDifferences(dimension=2), (1, 3, 4, 5)), (PixelDifferences(dimension=3), (3, 4))):
            with pytest.raises(ShapeError, match="channels only for a given dimension"):
                operator(torch.zeros(shape))
        with pytest.raises(ShapeError, match="image: got shape"):
            PixelDifferences((1.0, 1.0)).matrices((3, 4, 5))


@pytest.mark.parametrize(
    ("domain", "weight"),
    [
        (ring_disk(6), 36 / 2 * np.sin(np.pi / 18) / 4),  # a polygon of 36 corners over its square
        (rectangle(4, 3, width=3.0, height=1.0), 1 / 3),  # over the window of pixels, a square of side 3
        (box(3, 3, 3, (0.5, 2.0, 1.0)), 1.0),  # over its own box
    ],
)
def test_gradients_of_a_vertex_field_cost_what_pixels_cost(domain, weight):
    """A ramp from 0 to 1 over the longest side costs 1 / 64 where there is body, as on an image, in any dimension."""
    widths = np.ptp(domain.points, axis=0)
    for axis, width in enumerate(widths):
        slopes, weights = MeshGradients(domain)(torch.tensor(domain.points[:, axis] / width))
        expected = torch.zeros_like(slopes)
        expected[axis] = widths.max() / width / 64
        torch.testing.assert_close(slopes, expected, rtol=1e-9, atol=1e-12)
        assert float(weights.sum()) == pytest.approx(weight, rel=1e-9)


class TestSparsity:
    """Total variation of the values themselves: the L1 norm."""

    def test_is_the_mean_absolute_value(self):
        image = torch.tensor([[3.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
        assert float(TotalVariation(Values(), 1e-9)(image)) == pytest.approx(1, rel=1e-6)

    def test_cells_count_by_their_size(self, mesh):
        inside = torch.tensor(np.linalg.norm(mesh.centroids, axis=1) < 0.5).double()
        value = TotalVariation(Values(mesh.cell_sizes), 1e-9)(-2 * inside)
        assert float(value) == pytest.approx(2 / 4, rel=3e-3)

    def test_only_ratios_of_sizes_matter(self):
        """(1 * 3 + 2 * 0 + 5 * |-1|) / 8; the mean would be 4/3."""
        field = torch.tensor([3.0, 0.0, -1.0], dtype=torch.float64)
        for sizes in ([1.0, 2.0, 5.0], [0.1, 0.2, 0.5]):
            assert float(TotalVariation(Values(sizes), 1e-9)(field)) == pytest.approx(1, rel=1e-6)
            assert float(Tikhonov(Values(sizes))(field)) == pytest.approx((9 + 5) / 8)

    def test_smoothing_is_where_it_turns_quadratic(self):
        norm = TotalVariation(Values(), smoothing=0.1)
        one, two = (float(norm(torch.full((5,), value, dtype=torch.float64))) for value in (1e-3, 2e-3))
        assert two / one == pytest.approx(4, rel=1e-3)

    def test_another_shape_is_refused(self):
        with pytest.raises(ShapeError, match=r"field: got shape \(4,\), expected \(3,\)"):
            Values(np.ones(3))(torch.zeros(4))


OPERATORS = {
    "image": (PixelDifferences(), (5, 5)),
    "wide image": (PixelDifferences((1.0, 0.5)), (4, 6)),
    "boxes": (PixelDifferences((1.0, 0.5, 0.7)), (3, 4, 5)),
    "channels": (PixelDifferences(dimension=2), (3, 5, 4)),
    "wide channels": (PixelDifferences((1.0, 0.5), 2), (2, 4, 6)),
    "channels of boxes": (PixelDifferences((1.0, 0.5, 0.7), 3), (2, 3, 4, 5)),
    "values": (Values(), (3, 4)),
    "sizes": (Values(np.linspace(1, 2, 7)), (7,)),
    "cells": (MeshJumps(*ring_disk(2).jumps), (len(ring_disk(2).cells),)),
    "vertices": (MeshGradients(ring_disk(2)), (len(ring_disk(2).vertices),)),
    "solid vertices": (MeshGradients(box(2, 2, 1)), (len(box(2, 2, 1).vertices),)),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_matrices_are_the_operators(case, rng):
    operator, shape = OPERATORS[case]
    x = rng.standard_normal(shape)
    d, weights = operator(torch.tensor(x))
    parts = operator.matrices(shape)
    assert len(parts) == len(d) and weights.expand(d.shape[1:]).shape == d.shape[1:]
    for part, expected in zip(parts, d, strict=True):
        np.testing.assert_allclose(part @ x.ravel(), expected.numpy().ravel(), rtol=1e-12, atol=1e-14)
