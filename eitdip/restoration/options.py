"""Settings of image reconstructions, their defaults, and the named methods."""

from dataclasses import dataclass

from eitdip.configure import configured
from eitdip.errors import OptionError, choose


@dataclass(frozen=True)
class ImageOptions:
    """All settings of an image reconstruction.

    Args:
        method: "network" for a deep image prior (or free pixels) trained by Adam; or a classical one: "tv", "tikhonov",
            "pinv" (filtered back-projection, zero-filled, ...), "em" for counts.
        generator: "skip", "unet", "decoder", "deep-decoder", "convolutional-decoder", "two-layer", "fourier",
            "sine" or "pixels".
        channels: Width of the network.
        levels: Number of halvings or doublings in it.
        seed: Of weights, latent tensor and held-out choice.
        seeds: Networks whose images are averaged (seed, seed + 1, ...).
        tv: Weight of the mean length of the image's gradient, per pixel and in units of the image's size.
        tikhonov: Weight of the squared image, for "tikhonov".
        steps: Largest number of steps.
        learning_rate: Of Adam, constant.
        stop: "held-out", "variance", "discrepancy", "sure" or "budget".
        held_out: Share of measurements set aside for "held-out".
        patience: Steps without improvement after which "held-out", "variance" and "sure" end.
        window: Iterates in the window of "variance".
        input_noise: Standard deviation of the noise that is added to the latent tensor in each step.
        average: Decay of the exponential average of iterates; 0 for none.
        bounded: Keep the image within the bounds of the task.
        checkpoint_seconds: Time between checkpoints.
        threads: At most the cores there are; 0 for all of these.
        device: "cpu" or "cuda".
    """

    method: str = "network"
    generator: str = "skip"
    channels: int = 32
    levels: int = 3
    seed: int = 0
    seeds: int = 1
    tv: float = 0.0
    tikhonov: float = 0.0
    steps: int = 2000
    learning_rate: float = 0.01
    stop: str = "held-out"
    held_out: float = 0.2
    patience: int = 400
    window: int = 50
    input_noise: float = 0.0
    average: float = 0.0
    bounded: bool = True
    checkpoint_seconds: float = 20.0
    threads: int = 1
    device: str = "cpu"


CHOICES = {
    "method": ("network", "tv", "tikhonov", "pinv", "em"),
    "generator": (
        "skip", "unet", "decoder", "deep-decoder", "convolutional-decoder", "two-layer", "fourier", "sine", "pixels",
    ),
    "stop": ("held-out", "variance", "discrepancy", "sure", "budget"),
    "device": ("cpu", "cuda"),
}  # fmt: skip

METHODS = {
    "dip": {"average": 0.99},
    "dip-tv": {"average": 0.99, "tv": 5.0},
    "pixels-tv": {"generator": "pixels", "tv": 5.0, "stop": "budget", "steps": 500},
    "tv": {"method": "tv", "tv": 5.0, "steps": 1000},
    "tikhonov": {"method": "tikhonov", "tikhonov": 1.0, "steps": 100},
    "pinv": {"method": "pinv"},
    "em": {"method": "em", "steps": 50},
}


def image_options(method: str, settings: dict | None = None) -> ImageOptions:
    """The options of a named method with some settings changed.

    Raises:
        OptionError: If the method or a setting is unknown, or a value is out of range.
    """
    options = configured(ImageOptions(**choose("method", method, METHODS)), settings or {})

    def refuse(name: str, expected: str):
        raise OptionError(f"option {name}: got {getattr(options, name)}, expected {expected}")

    for name in ("channels", "levels", "seeds", "steps", "patience"):
        if getattr(options, name) < 1:
            refuse(name, "at least 1")
    for name in ("tv", "tikhonov", "input_noise", "checkpoint_seconds", "threads"):
        if not 0 <= getattr(options, name) < float("inf"):
            refuse(name, ">= 0")
    if not 0 < options.learning_rate < float("inf"):
        refuse("learning_rate", "> 0")
    if not 0 <= options.average < 1:
        refuse("average", "0 <= decay < 1")
    if not 0 < options.held_out < 1:
        refuse("held_out", "0 < share < 1")
    if options.window < 2:
        refuse("window", "at least 2")
    for name, names in CHOICES.items():
        choose(name, getattr(options, name), dict.fromkeys(names))
    return options
