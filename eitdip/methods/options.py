"""What is minimized and how: all settings of a method, and of running it.

A setting that is None is decided by the kind of problem: a plane body, a solid or an image.
"""

from dataclasses import dataclass
from math import log2

from eitdip.errors import choose
from eitdip.methods import needs
from eitdip.methods.names import CLASSICAL, GENERATORS, LOOP, METHODS, NEURAL_PDE, STOPS, TUNED, UNCERTAINTIES
from eitdip.settings import Settings, completed, configured, setting


def _channels(method: "Method") -> int:
    """32, decoder 48, coordinates 64, level-set 1"""
    of_bodies = {"decoder": 48, "level-set": 1, "fourier": 64, "sine": 64}
    return 64 if method.objective != "variational" else of_bodies.get(method.generator, 32)


def _channels_of_solids(method: "Method") -> int:
    """16, coordinates 64, level-set 1"""
    wide = {"two-layer": 32, "deep-decoder": 32, "fourier": 64, "sine": 64, "level-set": 1}
    return wide.get(method.generator, 16)


def _channels_of_images(method: "Method") -> int:
    """32, level-set 1"""
    return 1 if method.generator == "level-set" else 32


def _levels(method: "Method") -> int:
    """3, decoders log2(size / 8)"""
    return 3 if method.generator in ("unet", "skip") else max(1, round(log2(method.size / 8)))


def _rate(method: "Method") -> float:
    """0.01, skip and sine 0.002, fourier 0.006, two-layer and level-set 0.02, free fields 0.05, L-BFGS 1"""
    # Chosen by the loss after 600 steps on the reference disk (benchmarks/quality/reference_disk.py), but for decoder
    # and U-Net: 0.002 is better there for them too, 0.01 is what the tanks were reconstructed with.
    rates = {"skip": 0.002, "two-layer": 0.02, "fourier": 0.006, "sine": 0.002, "level-set": 0.02}
    rates |= dict.fromkeys(("pixels", "vertices", "cells"), 0.05)
    return 1.0 if method.optimizer == "lbfgs" else rates.get(method.generator, 0.01)


def _rate_of_solids(method: "Method") -> float:
    """the same, convolutions 0.002"""
    convolutions = ("decoder", "convolutional-decoder", "unet", "skip")  # with more, a small misfit is lost
    return 0.002 if method.optimizer == "adam" and method.generator in convolutions else _rate(method)


def _rate_of_images(method: "Method") -> float:
    """0.01, L-BFGS 1"""
    return 1.0 if method.optimizer == "lbfgs" else 0.01


def _share(share: float):
    def held_out(method: "Method") -> float:
        return share if method.stop == "held-out" else 0.0

    held_out.__doc__ = f"{share} for stop=held-out, else 0"
    return held_out


def _link(method: "Method") -> str:
    """bounded, educated exp"""
    return "exp" if method.generator == "educated" else "bounded"


def _patience(method: "Method") -> int:
    """steps / 5"""
    return max(50 if method.stop == "variance" else 20, method.steps // 5)


def _average(method: "Method") -> float:
    """0.99 for networks, else 0"""
    return (
        0.99
        if method.generator not in ("pixels", "educated") and method.optimizer == "adam" and method.stop != "sure"
        else 0.0
    )


def _bodies(value) -> dict:
    return {"plane": value, "solid": value}


@dataclass(frozen=True)
class Method(Settings):
    """What is minimized and how. None: the problem decides."""

    objective: str = setting("variational (potentials are finite elements, images linear models), or with networks as "
                             "potentials, for Dirichlet data of a disk", "variational",
                             choices=("variational", *NEURAL_PDE))  # fmt: skip
    generator: str | None = setting("makes the field", choices=GENERATORS, **_bodies("decoder"), image="skip")
    size: int | None = setting("pixels per side of a body's image, voxels along the largest extent", least=1, most=4096,
                               plane=64, solid=32)  # fmt: skip
    channels: int | None = setting("width of the network; level-set: half the number of functions", least=1, most=4096,
                                   plane=_channels, solid=_channels_of_solids, image=_channels_of_images)  # fmt: skip
    levels: int | None = setting("halvings or doublings in the network", least=1, most=12, **_bodies(_levels), image=3)
    weights: str | None = setting("educated: file of a network that was trained for such data, by `eitdip train`", None)
    tuned: str = setting("educated: what of the network is trained further", "all", choices=TUNED)
    rank: int = setting("educated: of low-rank updates, or directions of a subspace", 8, least=1, most=1000)
    proximity: float = setting("educated: weight of the squared distance to the pretrained answer", 0.0, least=0)
    warm_up: int = setting("of Adam: steps in which its rate rises", 0, least=0)
    input_noise: float = setting("standard deviation of noise on the latent tensor, anew in each step", 0.0, least=0)
    link: str | None = setting("from the raw field to values", choices=("bounded", "exp", "softplus", "free"),
                               **_bodies(_link), image="bounded")  # fmt: skip
    low: float = setting("bounded: lowest conductivity over the background", 0.014, above=0)
    high: float = setting("bounded: highest conductivity over the background", 40.0, above=0)
    fit_drift: bool = setting("let the background differ from that of the reference by a common factor", True)
    seed: int = setting("of weights, latent tensor and held-out choice", 0, least=0)
    seeds: int = setting("runs (seed, seed + 1, ...) whose results are averaged", 1, least=1)
    misfit: str = setting("the noise's likelihood, or Kohn-Vogelius for boundary potentials and complete fluxes",
                          "likelihood", choices=("likelihood", "kohn-vogelius"))  # fmt: skip
    tv: float | None = setting("weight of total variation: of log conductivity, or of the image over its unit",
                               least=0, **_bodies(0.5), image=5.0)  # fmt: skip
    l1: float = setting("weight of the mean absolute value", 0.0, least=0)
    tikhonov: float = setting("weight of squared differences; cgls: of the squared image", 0.0, least=0)
    optimizer: str = setting("gauss-newton and linearized are for cells, vertices and pixels of bodies, "
                             "natural-gradient for subspaces of weights; for images without a loop pinv, cgls "
                             "(Tikhonov), primal-dual (TV), em (counts)", "adam",
                             choices=(*LOOP, *CLASSICAL))  # fmt: skip
    steps: int | None = setting("largest number of steps", least=1, **_bodies(500), image=2000)
    learning_rate: float | None = setting("of Adam; of L-BFGS its step", above=0, plane=_rate, solid=_rate_of_solids,
                                          image=_rate_of_images)  # fmt: skip
    schedule: str | None = setting("of Adam's rate; cosine falls to 5 %", choices=("cosine", "constant"),
                                   **_bodies("cosine"), image="constant")  # fmt: skip
    stop: str | None = setting("when to stop", choices=STOPS, **_bodies("budget"), image="held-out")
    held_out: float | None = setting("share of measurements that are watched, not fitted", least=0, below=1,
                                     **_bodies(_share(0.05)), image=_share(0.2))  # fmt: skip
    patience: int | None = setting("steps without improvement after which held-out, variance and sure end", least=1,
                                   **_bodies(_patience), image=400)  # fmt: skip
    window: int = setting("iterates in the window of variance", 50, least=2, most=10**4)
    average: float | None = setting("decay of the exponential average of iterates; 0 for none", least=0, below=1,
                                    **_bodies(0.0), image=_average)  # fmt: skip
    boundary: str = setting("neural PDE: whether potentials keep the boundary values or are asked to", "hard",
                            choices=("hard", "soft"))  # fmt: skip
    points: int = setting("neural PDE: interior sample points", 1024, least=1, most=10**7)
    equation: float = setting("neural PDE: weight of the equation", 0.5, above=0)
    preset: str = setting("bar-sochen: balanced, or the settings of its authors' programs", "balanced",
                          choices=("balanced", "paper"))  # fmt: skip
    uncertainty: str | None = setting("how far to trust each pixel: a posterior around the estimate", None,
                                      choices=UNCERTAINTIES)  # fmt: skip
    prior_factor: float = setting("laplace, cells: on the prior variances of the evidence, as learnt from measurements "
                                  "that were set aside", 1.0, above=0)  # fmt: skip
    calibration: float = setting("uncertainty: on the deviations, as learnt from images of known truth", 1.0, above=0)
    smooth: float = setting("laplace: correlation length of a smooth field beside the network, over the longest side, "
                            "0 for none; cells: that of the prior, 0 for 0.3", 0.0, least=0, most=10)  # fmt: skip
    samples: int = setting("uncertainty: fields drawn from the posterior and written", 0, least=0, most=10**5)

    def completed(self, kind: str) -> "Method":
        """The same with everything set that the kind of problem decides: "plane", "solid" or "image"."""
        return completed(self, kind)

    def used(self, kind: str) -> set[str]:
        """Names of the settings that decide anything for a kind of problem."""
        return needs.used(self, kind)

    def check(self, problem) -> None:
        """Make sure, before any work, that the method can solve a problem.

        Args:
            problem: An `eitdip.problems.problem.Problem`.

        Raises:
            OptionError: If it needs what the problem does not have, or a setting is given that decides nothing here.
        """
        needs.check(self, problem)


@dataclass(frozen=True)
class Running(Settings):
    """How a method is run: nothing of this changes the answer, but for a limit in seconds."""

    seconds: float = setting("largest time that the steps may take, s; 0 for any", 0.0, least=0)
    threads: int = setting("of each rank, at most the cores it has; 0 for all of these", 1, least=0)
    device: str = setting("where network and penalties run; finite elements run on the CPU", "cpu",
                          choices=("cpu", "cuda"))  # fmt: skip
    checkpoint_seconds: float = setting("time between checkpoints", 20.0, least=0)
    scratch: str | None = setting("laplace: folder for the rows of a Jacobian, 1 GB or so; else in memory", None)


def method(name: str, settings: dict | None = None) -> Method:
    """A named method with some settings changed.

    Raises:
        OptionError: If the method or a setting is unknown, or a value has the wrong type or is out of range.
    """
    return configured(Method(**choose("method", name, METHODS)), settings or {})
