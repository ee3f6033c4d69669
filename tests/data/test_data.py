"""The one door of measured numbers: what it converts, what it hides, what it refuses."""

import numpy as np
import pytest
import torch

from eitdip.data.data import Data, as_mask, plain
from eitdip.data.noise import Gaussian, Poisson
from eitdip.data.numbers import numbers
from eitdip.errors import InvalidDataError, NotPositiveError, OptionError, ShapeError

MASK = np.array([[True, True, False], [True, False, True]])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([[1, 2, 3], [4, 5, 6]], float),
        (np.arange(6, dtype=np.int16).reshape(2, 3), float),
        (np.ones((2, 3), np.float32), float),
        (np.ones((2, 3), bool), float),
        (np.ones((2, 3), np.complex64), complex),
        (torch.ones(2, 3, requires_grad=True), float),
        (torch.full((2, 3), 1 + 2j, dtype=torch.complex64).conj(), complex),
    ],
)
def test_numbers_of_any_type_become_double(given, kind):
    data = Data(given)
    assert data.values.dtype == kind and data.shape == (2, 3) and data.mask.all()
    np.testing.assert_array_equal(
        data.values, given.detach().resolve_conj().numpy() if torch.is_tensor(given) else given
    )
    assert data.count == (12 if kind is complex else 6)


def test_arrays_are_copies():
    values, mask, deviation = np.ones((2, 3)), MASK.copy(), np.ones((2, 3))
    data = Data(values, Gaussian(deviation), mask)
    values[:], mask[:], deviation[:] = 7, False, 7
    assert data.count == 4 and (data.values[MASK] == 1).all() and (data.deviation == 1).all()


@pytest.mark.parametrize("hidden", [np.nan, np.inf, 1e300])
def test_what_the_mask_hides_reaches_nothing(hidden):
    """Not values, not deviations, not the hash, not the unit of an unknown deviation."""
    values, deviation = np.where(MASK, 2.0, hidden), np.where(MASK, 0.5, hidden)
    data, clean = (
        Data(v, Gaussian(d), MASK) for v, d in ((values, deviation), (np.full((2, 3), 2.0), np.full((2, 3), 0.5)))
    )
    np.testing.assert_array_equal(data.values, np.where(MASK, 2, 0))
    np.testing.assert_array_equal(data.deviation, np.where(MASK, 0.5, 1))
    assert data.hash == clean.hash
    np.testing.assert_allclose(Data(values, Gaussian(), MASK).deviation, 0.1)


@pytest.mark.parametrize(
    "mask", [MASK, MASK.astype(int), 255 * MASK.astype(np.uint8), torch.from_numpy(MASK), MASK.tolist()]
)
def test_masks_of_any_kind(mask):
    found = as_mask("mask", mask, (2, 3))
    assert found.dtype == bool and (found == MASK).all()
    assert as_mask("mask", None, (2, 3)).all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"values": np.where(MASK, np.nan, 1)},
            InvalidDataError,
            r"data: entry \(0, 0\) is nan, expected a finite number",
        ),
        ({"values": [["a", "b", "c"]] * 2}, InvalidDataError, "data: got values of type <U1, expected numbers"),
        ({"mask": np.zeros((2, 3))}, InvalidDataError, "mask: no measurement is left"),
        ({"mask": np.ones((3, 2))}, ShapeError, r"mask: got shape \(3, 2\), expected that of the data, \(2, 3\)"),
        ({"mask": np.full((2, 3), 0.5)}, InvalidDataError, "mask: got other numbers than 0 and 1"),
        ({"mask": np.array([[0, 1, 255]] * 2)}, InvalidDataError, "mask: got other numbers than 0 and 1"),
        ({"noise": Gaussian(np.where(MASK, -1.0, 1.0))}, NotPositiveError, r"deviation: entry \(0, 0\) is -1"),
        ({"noise": Gaussian(np.ones(3))}, ShapeError, r"deviation: got shape \(3,\)"),
        ({"noise": Poisson(), "values": np.full((2, 3), 0.5)}, InvalidDataError, r"counts: entry \(0, 0\) is 0.5"),
        ({"noise": Poisson(), "mask": MASK}, OptionError, "mask: got one for counts"),
        ({"tied": (2,)}, OptionError, r"tied: got the axes \(2,\), expected axes of an array of shape \(2, 3\)"),
        ({"provenance": {"noise": np.nan}}, InvalidDataError, "provenance: .* give finite numbers, text"),
        ({"provenance": {"who": object()}}, InvalidDataError, "provenance: .*object is not JSON serializable"),
    ],
)
def test_contradictions_name_the_entry(changes, error, message):
    with pytest.raises(error, match=message):
        Data(**{"values": np.ones((2, 3)), **changes})


def test_provenance_is_plain_and_decides_nothing():
    assert plain({"size": (1, 2)}) == {"size": [1, 2]}
    assert Data(np.ones(3), provenance={"a": 1}).hash == Data(np.ones(3)).hash


def test_the_hash_tells_data_apart():
    known = [
        Data(np.ones(4)), Data(np.ones((2, 2))), Data(np.ones(4, complex)), Data(np.zeros(4)),
        Data(np.ones(4), mask=[1, 1, 1, 0]), Data(np.ones(4), Gaussian(1.0)), Data(np.ones(4), Gaussian(np.ones(4))),
        Data(np.ones(4), Poisson()), Data(np.ones(4), Poisson(1.0)), Data(np.ones((2, 2)), tied=(0,)),
    ]  # fmt: skip
    assert len({data.hash for data in known}) == len(known) and {len(data.hash) for data in known} == {16}
    # Each single number decides: of values, of deviations, of what is there.
    deviation = np.ones(4)
    deviation[3] += 1e-15
    assert Data(np.ones(4), Gaussian(deviation)).hash != Data(np.ones(4), Gaussian(np.ones(4))).hash
    assert Data(deviation, Gaussian(1.0)).hash != Data(np.ones(4), Gaussian(1.0)).hash
    assert Data(np.ones(4), mask=[1, 1, 0, 1]).hash != Data(np.ones(4), mask=[1, 1, 1, 0]).hash
    assert Data(np.ones((2, 2)), tied=(0,)).hash == Data(np.ones((2, 2)), tied=(-2,)).hash


def test_held_out_measurements_are_measured_and_seeded():
    data = Data(np.ones((20, 10)), mask=np.arange(200).reshape(20, 10) % 4 != 0)
    chosen = data.held_out(0.3, 5)
    assert chosen.sum() == round(0.3 * data.count) and not (chosen & ~data.mask).any()
    np.testing.assert_array_equal(chosen, data.held_out(0.3, 5))
    assert (chosen != data.held_out(0.3, 6)).any()
    for share in (0, 1, 1e-6):
        with pytest.raises(
            OptionError, match=f"held_out: got {share:g} of 150 measurements, expected some but not all"
        ):
            data.held_out(share, 5)


@pytest.mark.parametrize(("share", "count"), [(0.25, 1), (0.4, 2), (0.75, 3)])
def test_as_many_are_held_out_as_are_asked_for(share, count):
    assert Data(np.ones(4)).held_out(share, 0).sum() == count


def test_every_measurement_is_held_out_as_often_as_the_others():
    """Of 5, two at a time, by 2000 seeds: each 800 times, and each pair 200 times."""
    data = Data(np.ones((5, 1)))
    chosen = np.stack([data.held_out(0.4, seed)[:, 0] for seed in range(2000)])
    assert np.abs(chosen.sum(axis=0) - 800).max() < 4 * np.sqrt(2000 * 0.4 * 0.6)
    pairs = chosen.T.astype(int) @ chosen
    assert np.abs(pairs[np.triu_indices(5, 1)] - 200).max() < 4 * np.sqrt(2000 * 0.1 * 0.9)


def test_tied_measurements_are_held_out_together():
    """The coils of a point of k-space see the same object: one alone would tell of the others."""
    mask = np.broadcast_to(np.arange(48).reshape(6, 8) % 3 == 0, (4, 6, 8))
    chosen = Data(np.ones((4, 6, 8), complex), mask=mask, tied=(0,)).held_out(0.25, 1)
    assert (chosen == chosen[:1]).all() and chosen[0].sum() == 4 and not (chosen & ~mask).any()


def test_numbers_refuses_other_things():
    with pytest.raises(InvalidDataError, match="sources: got values of type object"):
        numbers("sources", [None, 1])
