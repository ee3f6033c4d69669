"""What a network sees of a disc's views."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from eitdip.data.htc2022 import DiscData
from eitdip.errors import InvalidDataError
from eitdip.problems.disc_views import (
    CHANNELS,
    CHOSEN,
    PIXEL,
    SIDE,
    distance_from,
    mirrored,
    projected,
    solid,
    turned,
    turned_point,
    wedge,
)

pytest.importorskip("astra")

PLACES = np.array([(12.0, 8.0), (-15.0, 3.0)])
BLOBS = np.stack([distance_from(place) < 4 for place in PLACES]).astype(np.float32)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def disc(angles, sinogram=None) -> DiscData:
    rows = np.zeros((len(angles), 560)) if sinogram is None else sinogram
    return DiscData(rows, angles, 410.66, 553.74, 0.2, 0.148322)


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    views = wedge(60)
    return views.inputs(projected(views.matrix(), BLOBS), np.array([(0.0, 0.0), (1.0, -2.0)]))


def test_the_channels_show_where_something_is(seen):
    assert seen.shape == (2, CHANNELS, SIDE, SIDE) and seen.dtype == np.float32
    for channels, place in zip(seen, PLACES, strict=True):
        inside = distance_from(place) < 3
        for channel in (3, 4, 6):  # filtered back-projection, mean, minimum
            assert distance_from(place)[np.unravel_index(channels[channel].argmax(), inside.shape)] < 4
        assert channels[6][inside].min() > 0.1 and channels[5][inside].max() < 0.2
        empty = distance_from((0, -30)) < 3
        assert channels[6][empty].max() == 0 and channels[5][empty].min() > 0.7
        assert_allclose(channels[7], channels[3] * 10 / 3, atol=1e-5)  # nothing is explained yet
        assert not channels[2].any() and (channels[1] == 0).all()


def test_the_depth_is_that_below_the_rim(seen):
    assert_allclose(seen[1, 0], np.clip((34.88 - distance_from((1.0, -2.0))) / 10, -1, 1), atol=1e-6)
    assert_allclose(solid((1.0, -2.0)).sum() * PIXEL**2, np.pi * 34.88**2, rtol=1e-3)
    assert distance_from((0, 30))[13, 64] < 0.5  # row 0 is at the top, y points up


def test_single_views_are_drawn_along_their_rays(seen):
    """The ray of a view at angle t through the blob meets it; the source is at (sin t, -cos t)."""
    for channel, t in ((9, -30.0), (9 + CHOSEN - 1, 30.0)):
        for angle, on_the_ray in ((t, True), (-t, False)):
            source = 410.66 * np.array([np.sin(np.deg2rad(angle)), -np.cos(np.deg2rad(angle))])
            along = (PLACES[0] - source) / np.linalg.norm(PLACES[0] - source)
            for x, y in PLACES[0] + along * np.array([[15], [-25]]):
                value = seen[0, channel, round(SIDE / 2 - 0.5 - y / PIXEL), round(SIDE / 2 - 0.5 + x / PIXEL)]
                assert value > 0.5 if on_the_ray else value < 0.1


def test_what_the_answers_explain_is_left_out():
    views = wedge(30)
    missing = projected(views.matrix(), BLOBS)
    seen = views.inputs(missing, np.zeros((2, 2)), BLOBS)
    assert_allclose(seen[:, 2], BLOBS)
    assert_allclose(seen[:, [7, 8, *range(9 + CHOSEN, CHANNELS)]], 0, atol=1e-5)
    half = views.inputs(missing, np.zeros((2, 2)), BLOBS / 2)
    assert_allclose(half[:, 9 + CHOSEN], seen[:, 9] * 10 / 2 / 3, atol=1e-4)


def test_a_mirror_image_has_mirrored_channels():
    views, center = wedge(40), np.array([(1.5, -0.5)])
    other = views.inputs(projected(views.matrix(), BLOBS[:1, :, ::-1]), center * (-1, 1), 0.3 * BLOBS[:1, :, ::-1])
    seen = views.inputs(projected(views.matrix(), BLOBS[:1]), center, 0.3 * BLOBS[:1])
    apart = np.abs(mirrored(torch.from_numpy(seen)).numpy() - other)
    assert (apart > 0.02).mean() < 1e-4  # the nearest of two detector pixels at the same distance is another one
    assert np.abs(seen[:, :, :, ::-1] - other).max() > 0.5  # views are exchanged too


def test_views_are_taken_by_their_angles():
    angles = np.mod(np.arange(340, 370.5, 0.5), 360)
    rows = np.repeat(np.arange(61.0)[:, None], 560, axis=1)
    assert_allclose(wedge(30).views(disc(angles, rows))[:, 7], np.arange(0, 61, 2))
    with pytest.raises(InvalidDataError, match=r"got none within 0\.3 degrees of some of 31 directions"):
        wedge(30).views(disc(np.arange(0, 31, 2.0)))
    with pytest.raises(InvalidDataError, match="for which the network was trained"):
        wedge(30).views(replace(disc(angles), source_origin=400.0))


def test_images_turn_counterclockwise():
    image = np.stack([np.exp(-((distance_from(place) / 4) ** 2)) for place in PLACES]).sum(axis=0)
    there = [turned_point(place, 50.0) for place in PLACES]
    cos, sin = np.cos(np.deg2rad(50)), np.sin(np.deg2rad(50))
    assert there[0] == pytest.approx([12 * cos - 8 * sin, 12 * sin + 8 * cos])
    expected = np.stack([np.exp(-((distance_from(place, 256) / 4) ** 2)) for place in there]).sum(axis=0)
    assert_allclose(turned(image, 50.0, 256), expected, atol=1e-3)
