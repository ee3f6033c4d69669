"""eitdip against other people's codes: the electrode model on the same mesh, patterns and conductivity."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from benchmarks.speed.environment import Peer, PeerError
from benchmarks.speed.measure import Figure, interleave, milliseconds, timed
from benchmarks.speed.problems import IMPEDANCE, Plane, Settings, plane, value_and_gradient
from benchmarks.speed.report import Check

PART = "peers"
# How many times slower a peer must be, by nodes.
FORWARD = {
    "splu": {2_000: 4, 10_000: 5.5, 50_000: 7},
    "CHOLMOD": {2_000: 1.7, 10_000: 1.7, 50_000: 1.7},
    "pyEIT": {2_000: 40, 10_000: 40, 50_000: 40},
}
GRADIENT = {"splu": {2_000: 3, 10_000: 6, 50_000: 9}, "CHOLMOD": {2_000: 2, 10_000: 3, 50_000: 3}}
LARGEST = 60_000  # nodes; beyond, the slow ones take minutes


def run(settings: Settings) -> Iterator[Check]:
    """Two rows per peer and size."""
    for size in (size for size in settings.sizes if size <= LARGEST):
        problem = plane(size)
        peers, missing = _start(problem) if settings.peers else ({}, dict.fromkeys(FORWARD, "left out"))
        try:
            yield from _forward(problem, size, peers, settings)
            yield from _gradient(problem, size, peers, settings)
        finally:
            for peer in peers.values():
                peer.close()
        for work, asked in (("forward", FORWARD), ("value + gradient", GRADIENT)):
            for name in asked:
                if name in missing:
                    title, limit = f"{work}: {name} / eitdip", asked[name].get(size)
                    yield Check(PART, title, problem.nodes, None, at_least=limit, note=missing[name])


def _start(problem: Plane) -> tuple[dict[str, Peer], dict[str, str]]:
    """Peers that run, as a first evaluation shows, and for the others why not."""
    domain, peers, missing = problem.domain, {}, {}
    arrays = (domain.points, domain.cells, domain.facets, domain.facet_tags, problem.electrodes.currents, IMPEDANCE)
    for name in FORWARD:
        try:
            peers[name] = peer = Peer(name, arrays)
            if name == "pyEIT":
                agree_on_points(problem, peer)
            else:
                peer.ask("gradient", *problem.draws(problem.electrodes)())
        except PeerError as error:
            missing[name] = str(error)
            if name in peers:
                peers.pop(name).close()
    return peers, missing


def _forward(problem: Plane, size: int, peers: dict[str, Peer], settings: Settings) -> Iterator[Check]:
    model, draw = problem.electrodes, problem.draws(problem.electrodes)
    codes = {"eitdip": timed(model)} | {name: _asks(peer, "forward") for name, peer in peers.items()}
    seconds = interleave(
        codes,
        lambda: draw()[:1],
        settings.repetitions(size),
        agree=lambda results: _same_voltages({name: v for name, v in results.items() if name != "pyEIT"}),
        at_most={"pyEIT": 5 if size <= 10_000 else 3},
    )
    yield from _rows("forward", problem, size, seconds, FORWARD)


def _gradient(problem: Plane, size: int, peers: dict[str, Peer], settings: Settings) -> Iterator[Check]:
    model = problem.electrodes
    codes = {"eitdip": timed(value_and_gradient(model))}
    codes |= {name: _asks(peers[name], "gradient") for name in GRADIENT if name in peers}

    def agree(results):
        _same_voltages({name: value for name, (value, _) in results.items()})
        _same({name: gradient for name, (_, gradient) in results.items()}, 1e-8)

    seconds = interleave(codes, problem.draws(model), settings.repetitions(size), agree)
    yield from _rows("value + gradient", problem, size, seconds, GRADIENT)


def _asks(peer: Peer, method: str):
    return lambda *draw: peer.ask(method, *draw)


def _rows(work: str, problem: Plane, size: int, seconds: dict, asked: dict) -> Iterator[Check]:
    details = {"ms": milliseconds(seconds), "repetitions": {name: len(s) for name, s in seconds.items()}}
    for name in seconds:
        if name != "eitdip":
            figure = Figure.ratio(seconds[name], seconds["eitdip"])
            limit = asked[name].get(size)
            yield Check(PART, f"{work}: {name} / eitdip", problem.nodes, figure, at_least=limit, details=details)


def _same(results: dict[str, np.ndarray], tolerance: float) -> None:
    """Raise AssertionError unless all are those of eitdip, relative to the largest entry."""
    ours = results["eitdip"]
    for name, theirs in results.items():
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance * np.abs(ours).max(), err_msg=name)


def _same_voltages(results: dict[str, np.ndarray]) -> None:
    _same(results, 1e-9)


def agree_on_points(problem: Plane, peer: Peer) -> None:
    """pyEIT has no contact impedance: compare it with point electrodes on eitdip's stiffness matrix.

    Raises:
        AssertionError: If the voltages differ.
    """
    (nodes, currents, pairs), _ = peer.ask("protocol")
    sigma, _ = problem.draws(problem.electrodes, seed=1)()
    potentials = point_potentials(problem, sigma, nodes, currents)
    voltages = [p[pair[:, 0]] - p[pair[:, 1]] for p, pair in zip(potentials, pairs, strict=True)]
    theirs, _ = peer.ask("forward", sigma)
    np.testing.assert_allclose(theirs, np.ravel(voltages), rtol=0, atol=1e-9 * np.abs(theirs).max(), err_msg="pyEIT")


def point_potentials(problem: Plane, sigma: np.ndarray, nodes: np.ndarray, currents: np.ndarray) -> np.ndarray:
    """Potentials at some nodes for unit currents from one to another of them, shape (K, nodes)."""
    space = problem.electrodes.discretization
    i, j = space.edges.T
    c = space.weights @ sigma
    entries = (np.concatenate([-c, -c, c, c]), (np.r_[i, j, i, j], np.r_[j, i, i, j]))
    stiffness = sparse.csc_array(entries, shape=(space.size, space.size))
    loads = np.zeros((space.size, len(currents)))
    patterns = np.arange(len(currents))
    loads[nodes[currents[:, 0]], patterns], loads[nodes[currents[:, 1]], patterns] = 1, -1
    potentials = np.zeros_like(loads)
    potentials[1:] = splu(stiffness[1:, 1:]).solve(loads[1:])  # node 0 is the ground
    return potentials[nodes].T
