"""Streams of random numbers that have nothing in common."""

from itertools import combinations

import numpy as np
import pytest
import torch

from eitdip.data.streams import STREAMS, stream, stream_seed


def draws(seed: int) -> dict[str, np.ndarray]:
    made = {name: stream(seed, name).standard_normal(2000) for name in STREAMS}
    for epoch in (1, 2):
        made |= {f"{name} {epoch}": stream(seed, name, epoch).standard_normal(2000) for name in STREAMS[1:]}
    for name in STREAMS:
        generator = torch.Generator().manual_seed(stream_seed(seed, name))
        made[f"torch {name}"] = torch.randn(2000, generator=generator).numpy()
    made["torch"] = torch.randn(2000, generator=torch.Generator().manual_seed(seed)).numpy()
    return made


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_no_two_streams_are_alike(seed):
    made = draws(seed)
    for one, other in combinations(made, 2):
        if {one, other} == {"torch", f"torch {STREAMS[0]}"}:
            continue
        correlation = np.corrcoef(made[one], made[other])[0, 1]
        ranks = np.corrcoef(np.argsort(np.argsort(made[one])), np.argsort(np.argsort(made[other])))[0, 1]
        assert max(abs(correlation), abs(ranks)) < 5 / 2000**0.5, (one, other)


def test_a_seed_gives_the_same_numbers_again():
    first, again = draws(3), draws(3)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(stream(3, "held-out").random(9), stream(4, "held-out").random(9))


def test_the_first_stream_is_the_plain_one():
    """So data that were simulated before stay what they were."""
    assert np.array_equal(stream(5, STREAMS[0]).random(9), np.random.default_rng(5).random(9))
    with pytest.raises(ValueError, match="not in"):
        stream(0, "something else")


def test_held_out_measurements_are_not_chosen_by_their_noise():
    """Of pure noise the held-out part has the same mean square as the rest; from one stream it had .887 of it."""
    from eitdip.data.data import Data
    from eitdip.data.noise import Gaussian

    ratios = []
    for seed in range(60):
        values = Gaussian(1.0).sample(np.zeros((40, 50)), stream(seed, "noise of bodies"))
        ratios.append(np.square(values[Data(values, Gaussian(1.0)).held_out(0.2, seed)]).mean())
    assert np.mean(ratios) == pytest.approx(1, abs=5 * (2 / 400 / 60) ** 0.5)
