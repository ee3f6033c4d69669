"""What is written beside the arrays: images at the cells, and scores."""

import numpy as np
import pytest

from eitdip.mesh import Domain
from eitdip.metrics import BETTER, ImageTruth, Truth, quality, sample_image
from tests.cases.meshes import rectangle
from tests.cases.solids import box


def test_a_plane_image_covers_the_bounding_square_with_row_0_at_the_top():
    domain = rectangle(8, 4, 2.0, 1.0)
    image = np.arange(64.0).reshape(8, 8)
    x, y = domain.centroids.T
    column, row = np.floor(4 * x), np.floor(4 * (1.5 - y))  # the square reaches from y = -0.5 to 1.5
    assert np.array_equal(sample_image(image, domain), 8 * row + column)


def test_a_solid_image_covers_the_bounding_box_with_slice_0_at_the_bottom():
    domain = box(4, 3, 2, (4.0, 3.0, 2.0))
    image = np.arange(24.0).reshape(2, 3, 4)
    x, y, z = domain.centroids.T
    expected = 12 * np.floor(z) + 4 * np.floor(3 - y) + np.floor(x)
    assert np.array_equal(sample_image(image, domain), expected)


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (5, 9)])
def test_a_constant_stays_constant(shape):
    assert (sample_image(np.full(shape, 3.0), rectangle(4, 4)) == 3).all()


class TestImages:
    """Errors of images, by the names of bodies."""

    truth = np.array([[0.0, 0.2], [0.6, 1.0]])

    def test_errors_of_a_real_image(self):
        image = self.truth + 0.1
        found = ImageTruth(self.truth).metrics(image)
        assert found["PSNR"] == pytest.approx(20) and list(found) == ["relative L2", "PSNR"]
        assert found["relative L2"] == pytest.approx(0.2 / np.linalg.norm(self.truth))
        assert ImageTruth(self.truth).headline(image) == {"PSNR": found["PSNR"]}
        assert set(found) <= set(BETTER)

    def test_bounds_clip_the_image_and_are_the_peak(self):
        image = self.truth + np.array([[-5.0, 0.0], [0.0, 9.0]])
        assert quality(image + np.array([[0, 0.2], [0, 0]]), self.truth, 0.0, 1.0) == pytest.approx(20)
        assert quality(image, self.truth, 0.0) == pytest.approx(20 * np.log10(1 / 4.5))  # the truth's range is 1
        assert quality(self.truth + 0.2, self.truth, -1.0, 3.0) == pytest.approx(20 * np.log10(4 / 0.2))

    def test_of_complex_images_the_magnitude_counts(self):
        phase = np.exp(1j * np.array([[0.3, 2.0], [4.0, -1.0]]))
        found = ImageTruth(self.truth * phase).metrics((self.truth + 0.1) * phase.conj())
        assert found == pytest.approx(ImageTruth(self.truth).metrics(self.truth + 0.1))

    def test_what_has_no_meaning_is_none(self):
        flat = ImageTruth(np.ones((2, 2)))
        assert flat.metrics(self.truth)["PSNR"] is None and np.isnan(flat.headline(self.truth)["PSNR"])
        assert ImageTruth(np.ones((2, 2)), 0.0, 1.0).metrics(self.truth)["PSNR"] is not None
        nothing = ImageTruth(np.zeros((2, 2)), 0.0, 1.0).metrics(np.full((2, 2), 0.1))
        assert nothing == {"relative L2": None, "PSNR": pytest.approx(20)}
        assert ImageTruth(self.truth).metrics(self.truth) == {"relative L2": 0, "PSNR": None}


class TestBodies:
    """Errors of conductivities on a mesh."""

    def test_cells_count_by_their_sizes(self):
        """Columns of cells from x = 0, 1/16, 1/4, 9/16 to 1; the truth is 3 left of 1/4, the estimate left of 9/16."""
        even = rectangle(4, 4)
        domain = Domain(even.points**2, even.cells, even.facets, even.facet_tags)
        image = np.ones((16, 16))
        image[:, :4] = 3.0
        found = Truth(image, domain).metrics(np.where(domain.centroids[:, 0] < 9 / 16, 3.0, 1.0))
        assert found == pytest.approx(
            {
                "relative L2": np.sqrt(5 / 12),  # error 4 * 5/16 over 9 * 1/4 + 3/4
                "relative L2 over background": np.sqrt(43 / 108),  # 1 and 1/3 for 3 and 1
                "contrast error": np.sqrt(5 / 4),  # over 4 * 1/4
                "dice conductive": 8 / 13,
                "dice resistive": None,
                "PSNR": 10 * np.log10(4 / (5 / 4)),
            }
        )
        assert Truth(image, domain).headline(np.full(32, 2.0)) == {"relative L2": pytest.approx(np.sqrt(1 / 3))}

    @pytest.mark.parametrize(("inside", "sign"), [(3.0, "conductive"), (0.3, "resistive")])
    @pytest.mark.parametrize("width", [0.1, 1.0, 10.0])
    def test_the_background_is_what_most_of_the_body_is(self, width, inside, sign):
        """Not most of the cells: three of four columns, which cover 0.487, are in the object."""
        even = rectangle(4, 4)
        domain = Domain(width * even.points**2.5, even.cells, even.facets, even.facet_tags)
        found = Truth(np.array([[inside, 1.0]]), domain).metrics(np.ones(32))
        assert found["contrast error"] == pytest.approx(1)
        scores = {name: found[f"dice {name}"] for name in ("conductive", "resistive")}
        assert scores == {"conductive": None, "resistive": None, sign: 0}

    def test_all_errors_have_a_name_that_says_what_is_better(self):
        domain = rectangle(8, 8)
        image = np.ones((8, 8))
        image[1:3, 1:3], image[5:7, 5:7] = 3.0, 0.4
        sigma, truth = sample_image(image, domain), Truth(image, domain)
        assert truth.metrics(sigma) == {
            "relative L2": 0, "relative L2 over background": 0, "contrast error": 0, "dice conductive": 1,
            "dice resistive": 1, "PSNR": None,
        }  # fmt: skip
        scaled = truth.metrics(0.9 * sigma)
        assert scaled["relative L2"] == pytest.approx(0.1) and scaled["relative L2 over background"] < 1e-12
        worse, better = truth.metrics(np.ones(len(sigma))), truth.metrics(1 + 0.9 * (sigma - 1))
        assert set(worse) == set(BETTER)
        for name, choose in BETTER.items():
            assert choose(worse[name], better[name]) == better[name] != worse[name], name
        assert truth.headline(sigma + 1) == {"relative L2": truth.metrics(sigma + 1)["relative L2"]}

    def test_a_truth_without_contrast_or_sign(self):
        domain = rectangle(4, 4)
        flat = Truth(np.ones((4, 4)), domain).metrics(np.full(len(domain.cells), 2.0))
        assert flat == {
            "relative L2": 1,
            "relative L2 over background": 0,
            **dict.fromkeys(["contrast error", "dice conductive", "dice resistive", "PSNR"]),
        }

    def test_nothing_is_compared_outside_the_body(self):
        domain, image = rectangle(4, 4), np.ones((4, 4))
        image[0] = np.nan
        sigma = np.where(np.isnan(sample_image(image, domain)), 99.0, 2.0)
        assert Truth(image, domain).headline(sigma)["relative L2"] == pytest.approx(1)
