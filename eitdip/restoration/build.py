"""From a task and options to objective, optimizer and stopping rule: names become objects."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from eitdip.errors import OptionError
from eitdip.images import Affine, Between, Cropped, Image, ImageVariation, Positive
from eitdip.imaging import Transmission
from eitdip.misfit import LeastSquares, PoissonDeviance
from eitdip.networks import ConvolutionalDecoder, CoordinateNetwork, Decoder, DeepDecoder, SkipNetwork, UNet
from eitdip.objective import Averaged, Objective, Sure, Variational
from eitdip.parameterization import CoordinateField, DeepImagePrior, FreeField, TwoLayer
from eitdip.reconstruction.stopping import Budget, Discrepancy, FirstOf, HeldOut, StoppingRule, WindowedVariance
from eitdip.restoration.options import ImageOptions
from eitdip.restoration.task import Task
from eitdip.timing import Stopwatch

# Of the twin's perturbation over the noise. Training is chaotic: with less, the difference of the twins says little.
_PERTURBATION = 0.5


@dataclass(frozen=True, eq=False)
class Parts:
    """What `eitdip.reconstruction.reconstruct` takes."""

    objective: Objective
    optimizer: torch.optim.Optimizer
    stop: StoppingRule


def build(task: Task, options: ImageOptions, seed: int, stopwatch: Stopwatch | None = None) -> Parts:
    """Fresh weights and an optimizer: nothing is left of what was trained before.

    Raises:
        OptionError: If the stopping rule needs what the task does not have, or the generator cannot make its images.
    """
    device = torch.device(options.device)
    if options.stop == "sure":
        objective = _sure(task, options, seed, stopwatch)
    else:
        objective = _variational(task, options, seed, stopwatch)
        if options.average:
            objective = Averaged(objective.to(device), options.average)
    objective.to(device)
    optimizer = torch.optim.Adam(objective.parameters(), lr=options.learning_rate)
    return Parts(objective, optimizer, _rule(task, options))


def unit_of(task: Task) -> float:
    """The size of the image's values: the largest of an approximate solution."""
    if None not in (task.low, task.high):
        return task.high - task.low
    size = float(task.operator.pinv(task.data.to(task.operator.device)).abs().max())
    return size if size > 0 else 1.0


def deviation_of(task: Task) -> float:
    """Standard deviation of the data; where it is unknown, a twentieth of their root mean square is the unit."""
    if task.sigma is not None:
        return task.sigma
    size = float(np.sqrt(np.mean(np.abs(task.data.numpy()[task.measured]) ** 2)))
    return 0.05 * size if size > 0 else 1.0


def _variational(task: Task, options: ImageOptions, seed: int, stopwatch, shift: torch.Tensor | None = None):
    image = _image(task, options, seed)
    penalties = {"tv": (options.tv, ImageVariation())} if options.tv else {}
    held_share = options.held_out if options.stop == "held-out" else 0.0
    if task.counts:
        misfit = PoissonDeviance(task.data.numpy(), task.background, held_share, seed)
    else:
        held = task.held_out(held_share, seed) if held_share else None
        data = (task.data if shift is None else task.data + shift).numpy()
        misfit = LeastSquares(np.where(task.measured, data, 0), deviation_of(task), task.measured, held)
    return Variational(task.operator, image, misfit, penalties, stopwatch)


def _sure(task: Task, options: ImageOptions, seed: int, stopwatch) -> Sure:
    if task.name != "denoise" or task.sigma is None:
        raise OptionError(
            f"stop: got 'sure' for {task.name}, sigma = {task.sigma}; expected the task 'denoise' and its noise level"
        )
    if options.average:
        raise OptionError("stop: got 'sure' together with 'average', expected one of them; set average=0")
    # A stream of its own: data simulated with the same seed must not hold the same noise.
    drawn = np.random.default_rng((seed, 1)).standard_normal(tuple(task.data.shape))
    shift = torch.from_numpy(_PERTURBATION * task.sigma * drawn)
    twins = (_variational(task, options, seed, stopwatch, each) for each in (None, shift))
    return Sure(*twins, shift)


def _image(task: Task, options: ImageOptions, seed: int) -> Image:
    domain = task.operator.domain
    is_complex, unit = domain.dtype.startswith("complex"), unit_of(task)
    if len(domain.shape) > 2 + (not is_complex):
        raise OptionError(f"images of shape {domain.shape}: networks for (H, W) and (C, H, W) only; try method 'tv'")
    channels = 2 if is_complex else (domain.shape[0] if len(domain.shape) == 3 else 1)
    generator = GENERATORS[options.generator](domain.shape[-2:], channels, options, seed)
    if task.counts:
        link = Positive(max(_level(task), 1e-3 * unit))
    elif options.bounded and None not in (task.low, task.high):
        link = Between(task.low, task.high)
    elif options.bounded and task.low == 0:
        link = Positive(unit / 2)
    else:
        link = Affine(0.0, unit)
    return Image(generator, link, complex=is_complex, unit=unit)


def _level(task: Task) -> float:
    """The mean of an approximate image of counts; single rays say little."""
    if isinstance(task.operator, Transmission):
        return float(task.operator.pinv(task.data.to(task.operator.device)).mean())
    seen = float(task.operator(torch.ones(task.operator.domain.shape, device=task.operator.device)).sum())
    excess = float(task.data.sum()) - float(np.broadcast_to(task.background, task.data.shape).sum())
    return excess / seen if seen else 0.0


def _network(make, shape, channels: int, options: ImageOptions, seed: int):
    network = make(channels=options.channels, levels=options.levels, outputs=channels)
    multiple = 2**options.levels
    padded = tuple(max(2, -(-side // multiple)) * multiple for side in shape)
    generator = DeepImagePrior(network, padded, seed, options.input_noise)
    return generator if padded == tuple(shape) else Cropped(generator, shape)


def _single(make, shape, channels: int, options: ImageOptions, seed: int):
    if channels > 1:
        raise OptionError(
            f"generator: got {options.generator!r} for an image of {channels} channels, expected a convolutional one"
        )
    return make(shape, options, seed)


def _coordinates(kind: str, shape, options: ImageOptions, seed: int):
    # Pictures have finer detail than conductivities seen from the boundary.
    frequency = {"fourier": 8.0, "sine": 30.0}[kind]
    return CoordinateField(CoordinateNetwork(kind, options.channels, frequency=frequency), shape, seed)


def _pixels(shape, channels: int, options: ImageOptions, seed: int):
    return FreeField(shape if channels == 1 else (channels, *shape))


GENERATORS = {
    "skip": partial(_network, SkipNetwork),
    "unet": partial(_network, UNet),
    "decoder": partial(_network, Decoder),
    "deep-decoder": partial(_network, DeepDecoder),
    "convolutional-decoder": partial(_network, ConvolutionalDecoder),
    "two-layer": partial(_single, lambda shape, options, seed: TwoLayer(shape, options.channels, seed=seed)),
    "fourier": partial(_single, partial(_coordinates, "fourier")),
    "sine": partial(_single, partial(_coordinates, "sine")),
    "pixels": _pixels,
}


def _rule(task: Task, options: ImageOptions) -> StoppingRule:
    budget = Budget(options.steps)
    if options.stop == "budget":
        return budget
    if options.stop == "discrepancy":
        if task.sigma is None and not task.counts:
            raise OptionError("stop: got 'discrepancy', but the noise level is unknown; use 'held-out'")
        return FirstOf(Discrepancy(), budget)
    if options.stop == "variance":
        return FirstOf(WindowedVariance(options.window, options.patience, log=False), budget)
    return FirstOf(HeldOut(options.patience), budget)
