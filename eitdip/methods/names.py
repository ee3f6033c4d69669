"""The named methods: settings that differ from the defaults, the same for tanks and pictures; and all other names."""

NETWORKS = ("decoder", "unet", "skip", "deep-decoder", "convolutional-decoder")
COORDINATES = ("fourier", "sine")
TUNED = ("all", "decoder", "last", "low-rank", "subspace", "snapshots")
GENERATORS = (*NETWORKS, "educated", "two-layer", *COORDINATES, "level-set", "pixels", "vertices", "cells")
NEURAL_PDE = ("pinn", "bar-sochen", "deep-galerkin", "deep-ritz", "deep-ritz-naive")
LOOP = ("adam", "lbfgs", "natural-gradient", "gauss-newton", "linearized")
SUBSPACES = ("subspace", "snapshots")
CLASSICAL = ("pinv", "cgls", "primal-dual", "em")
STOPS = ("budget", "discrepancy", "held-out", "variance", "sure")
FREE = ("cells", "vertices", "pixels")
UNCERTAINTIES = ("laplace", "ensemble", "dropout", "langevin", "cells")

_CELLS = {"generator": "cells"}
_NEURAL_PDE = {"link": "exp", "steps": 1500, "learning_rate": 0.01}

METHODS = {
    "dip-tv": {},
    "dip": {"tv": 0.0, "stop": "held-out"},
    "unet-tv": {"generator": "unet"},
    "skip-tv": {"generator": "skip"},
    # Starts where a pretrained network ends: eitdip.pretraining.
    "educated": {"generator": "educated", "stop": "budget", "steps": 100, "learning_rate": 1e-3, "warm_up": 15},
    # The same in a few coordinates: a subspace of its weights, with the metric of the data.
    "educated-snapshots": {
        "generator": "educated",
        "tuned": "snapshots",
        "optimizer": "natural-gradient",
        "stop": "budget",
        "steps": 20,
    },
    "pixels-tv": {"generator": "pixels", "stop": "budget", "steps": 500},
    "cells-tv": _CELLS,
    "cells-tikhonov": {**_CELLS, "optimizer": "lbfgs", "tv": 0.0, "tikhonov": 0.1, "steps": 60},
    "cells-kv": {**_CELLS, "misfit": "kohn-vogelius", "optimizer": "lbfgs", "tv": 40.0, "steps": 60},
    "gn-tv": {**_CELLS, "optimizer": "gauss-newton", "tv": 2.5, "steps": 20},
    "gn-tikhonov": {**_CELLS, "optimizer": "gauss-newton", "tv": 0.0, "tikhonov": 30.0, "steps": 15},
    # Sparsity alone favours single cells, so it comes with a little smoothness.
    "gn-l1": {**_CELLS, "optimizer": "gauss-newton", "tv": 0.0, "l1": 20.0, "tikhonov": 30.0, "steps": 15},
    # A step carries the terms before its update, so the second one sees what the first has made.
    "one-step": {**_CELLS, "optimizer": "linearized", "tv": 0.0, "tikhonov": 30.0, "steps": 2},
    "tv": {"optimizer": "primal-dual", "steps": 1000},
    "tikhonov": {"optimizer": "cgls", "tikhonov": 1.0, "steps": 100},
    "pinv": {"optimizer": "pinv"},
    "em": {"optimizer": "em", "steps": 50},
    "pinn": {"objective": "pinn", "tv": 40.0, **_NEURAL_PDE},
    "bar-sochen": {"objective": "bar-sochen", **_NEURAL_PDE},
    "deep-galerkin": {"objective": "deep-galerkin", "tv": 40.0, **_NEURAL_PDE},
    "deep-ritz": {"objective": "deep-ritz", "tv": 40.0, "equation": 5.0, **_NEURAL_PDE},
    # A counter-example: demos/impedance/why_naive_deep_ritz_fails.py.
    "deep-ritz-naive": {"objective": "deep-ritz-naive", "tv": 0.0, "equation": 10.0, **_NEURAL_PDE},
}
