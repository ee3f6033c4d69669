"""Random numbers by name: what is drawn for one purpose has nothing in common with what is drawn for another."""

import numpy as np

# The place of a name decides its stream, so names are only ever added at the end. The first is the seed's plain stream.
STREAMS = (
    "noise of bodies",
    "perturbation",
    "missing pixels",
    "noise of pictures",
    "held-out",
    "thinning",
    "sample points",
    "noise of pairs",
    "order of pairs",
    "simulated tanks",
    "errors of tanks",
    "training pairs",
    "held-out pairs",
    "first weights",
    "samples of posteriors",
)


def stream(seed: int, name: str, *more: int) -> np.random.Generator:
    """The generator of a purpose.

    Args:
        seed: >= 0.
        name: One of `STREAMS`.
        more: Further numbers >= 0 that tell draws of one purpose apart, such as an epoch.
    """
    return np.random.default_rng(_key(seed, name, *more))


def stream_seed(seed: int, name: str) -> int:
    """A seed for a generator of another library, such as torch's, of 63 bits."""
    return int(np.random.SeedSequence(_key(seed, name)).generate_state(1, np.uint64)[0] >> 1)


def _key(seed: int, name: str, *more: int):
    place = STREAMS.index(name)
    return (seed, place, *more) if place else seed
