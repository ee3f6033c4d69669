"""Simulated data: seeds, noise, provenance; and the phantoms they show."""

import numpy as np
import pytest

from eitdip.errors import InvalidDataError, OptionError
from eitdip.phantoms import Inclusion, Phantom, phantom
from eitdip.simulation import refuse_inverse_crime, simulate_dirichlet, simulate_electrodes
from tests.reconstruction.small import TANK
from tests.shapes import ring_disk

DTN = {"order": 3, "moments": 8, "points": 64, "h": 0.2}


@pytest.mark.usefixtures("gmsh")
class TestSimulation:
    def test_a_seed_repeats_the_noise(self):
        one, two, three = (simulate_electrodes(phantom("tank"), TANK, seed=s, h=0.3) for s in (1, 1, 2))
        assert np.array_equal(one.values, two.values) and np.array_equal(one.reference, two.reference)
        assert not np.array_equal(one.values, three.values)

    @pytest.mark.parametrize(
        "make",
        [
            lambda **more: simulate_electrodes(phantom("tank"), TANK, h=0.3, **more),
            lambda **more: simulate_dirichlet(phantom("three"), **DTN, **more),
        ],
        ids=["cem", "dtn"],
    )
    def test_the_noise_is_as_large_as_it_says(self, make):
        clean, noisy = make(noise=1e-12), make(noise=0.05)
        z = (noisy.values - clean.values) / noisy.deviation
        assert abs(z.mean()) < 4 / np.sqrt(z.size)
        assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
        assert np.allclose(noisy.deviation / clean.deviation, 0.05e12, rtol=1e-6)

    def test_provenance_names_the_mesh(self):
        measurements = simulate_dirichlet(phantom("three"), **DTN, seed=3)
        found = measurements.provenance
        assert (found["phantom"], found["noise"], found["seed"], found["mesh_degree"]) == (
            "three",
            0.01,
            3,
            2,
        )
        domain = measurements.geometry.mesh(0.2, degree=2)
        assert found["mesh_hash"] == domain.hash
        with pytest.raises(InvalidDataError, match="inverse crime"):
            refuse_inverse_crime(measurements, domain)
        refuse_inverse_crime(measurements, measurements.geometry.mesh(0.25))

    def test_the_homogeneous_disk_is_its_own_reference(self):
        measurements = simulate_dirichlet(phantom("homogeneous"), **DTN, noise=1e-9)
        assert np.allclose(measurements.values, measurements.reference, atol=1e-6)
        n = np.repeat(np.arange(1, 4), 2)
        assert np.allclose(np.diag(measurements.reference[:, :6]), n, rtol=1e-2)  # eigenvalues of the DtN map

    @pytest.mark.parametrize("noise", [0.0, 1.0, -0.1, float("nan")])
    def test_noise_is_a_share(self, noise):
        with pytest.raises(OptionError, match="noise: got"):
            simulate_dirichlet(phantom("three"), **DTN, noise=noise)

    def test_moments_must_resolve_the_potentials(self):
        with pytest.raises(OptionError, match="moments, points"):
            simulate_dirichlet(phantom("three"), order=9, moments=8)


def test_an_inclusion_is_where_it_says():
    ellipse = Inclusion((0.2, 0.1), (0.4, 0.1), np.pi / 2, 3.0)
    inside = ellipse.contains(np.array([[0.2, 0.45], [0.5, 0.1], [0.2, 0.1]]))
    assert inside.tolist() == [True, False, True]


def test_the_last_inclusion_counts():
    both = Phantom("two", tuple(Inclusion((0, 0), (r, r), 0.0, c) for r, c in ((0.5, 2.0), (0.2, 3.0))))
    assert both.contrast(np.array([[0, 0], [0.3, 0], [0.8, 0]])).tolist() == [3, 2, 1]


def test_the_image_has_row_0_at_the_top():
    up = Phantom("up", (Inclusion((0.0, 0.5), (0.3, 0.3), 0.0, 2.0),))
    image = up.image(32, 0.5)
    assert image[8, 16] == 1.0 and image[24, 16] == 0.5 and np.isnan(image[0, 0])


def test_cells_get_the_mean(rng):
    half = Phantom("disk", (Inclusion((0, 0), (0.5, 0.5), 0.0, 3.0),))
    domain = ring_disk(12, radius=0.14)
    sigma = half.on_domain(domain, 2.0)
    assert sigma.min() == 2 and sigma.max() == 6
    assert (sigma * domain.areas).sum() / domain.areas.sum() == pytest.approx(2 * (1 + 2 * 0.25), rel=0.02)


@pytest.mark.parametrize("seed", range(12))
def test_random_phantoms_are_inside_and_apart(seed):
    one = phantom(seed)
    assert one == phantom(str(seed))
    assert 1 <= len(one.inclusions) <= 4
    for i, a in enumerate(one.inclusions):
        assert np.hypot(*a.center) + max(a.radii) < 1
        assert a.contrast >= 2 or a.contrast <= 0.5
        for b in one.inclusions[:i]:
            assert np.hypot(*np.subtract(a.center, b.center)) > max(a.radii) + max(b.radii)


def test_an_unknown_phantom_gets_the_list():
    with pytest.raises(OptionError, match="unknown phantom: got 'ghost', expected one of: three, heart-lungs"):
        phantom("ghost")
