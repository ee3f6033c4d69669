"""Running a task: seeds, checkpoints, progress bar, interruption, classical solvers."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from eitdip.atomic import make_folder
from eitdip.errors import OptionError, choose
from eitdip.imaging import Transmission, cgls, em, total_variation, transmission
from eitdip.interruption import Interruption
from eitdip.metrics import psnr
from eitdip.reconstruction import Checkpoint, Result, Status, reconstruct
from eitdip.restoration.build import build, deviation_of, unit_of
from eitdip.restoration.options import ImageOptions
from eitdip.restoration.task import Task
from eitdip.timing import Stopwatch


@dataclass(frozen=True, eq=False)
class Restoration:
    """What was found.

    Args:
        image: Mean over the seeds, shape of the operator's domain.
        prediction: A image, shape of the range.
        results: One per seed; none for classical methods.
        status: Interrupted if any seed was, else that of the last.
        seconds: Wall seconds.
        misfit: chi^2 / N of all measurements of the prediction; the mean deviance for counts. In units of
            `eitdip.restoration.build.deviation_of` where the noise level is unknown.
        psnr: dB, if the truth is known.
    """

    image: np.ndarray
    prediction: np.ndarray
    results: tuple[Result, ...]
    status: Status
    seconds: float
    misfit: float
    psnr: float | None


def restore(
    task: Task,
    options: ImageOptions,
    *,
    folder: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> Restoration:
    """Find the image.

    Args:
        task: Operator and data.
        options: From `image_options`.
        folder: Where checkpoints go, or None for none.
        resume: Go on from the checkpoints in `folder`.
        quiet: No progress bar.

    Raises:
        OptionError: If task and options do not fit.
        CheckpointError: If a checkpoint is damaged or belongs to another run.
        DivergenceError: If the loss becomes infinite or NaN.
    """
    began = time.perf_counter()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("device: got 'cuda', but torch finds no CUDA device here; use device=cpu")
    task = replace(task, operator=task.operator.to(options.device))
    if options.method == "network":
        results = _train(task, options, folder, resume, quiet)
        image = np.mean([result.sigma for result in results], axis=0)
    else:
        results, image = (), choose("method", options.method, _CLASSICAL)(task, options)
    prediction = task.operator(image)
    every = [result.status for result in results] or [Status.DONE]
    return Restoration(
        image,
        prediction,
        results,
        Status.INTERRUPTED if Status.INTERRUPTED in every else every[-1],
        time.perf_counter() - began,
        misfit(task, prediction),
        None if task.truth is None else quality(task, image),
    )


def quality(task: Task, image: np.ndarray) -> float:
    """PSNR in dB of an image within the bounds of the task, with their distance, if known, as the peak."""
    peak = None if None in (task.low, task.high) else task.high - task.low
    if np.iscomplexobj(image):
        return psnr(np.abs(image), np.abs(task.truth), data_range=peak)
    bounds = (-np.inf if task.low is None else task.low, np.inf if task.high is None else task.high)
    return psnr(np.clip(image, *bounds), task.truth, data_range=peak)


def misfit(task: Task, prediction: np.ndarray) -> float:
    """chi^2 / N of all measurements, in units of `deviation_of`; the mean deviance for counts."""
    data, mask = task.data.numpy(), task.measured
    if task.counts:
        mean = np.maximum(prediction + task.background, 1e-12)
        logarithm = np.log(np.where(data > 0, data, 1) / mean)
        return float(2 * (mean - data + data * logarithm)[mask].mean())
    parts = 2 if np.iscomplexobj(data) else 1
    return float(np.mean(np.abs((prediction - data)[mask]) ** 2) / (parts * deviation_of(task) ** 2))


def _train(task: Task, options: ImageOptions, folder, resume: bool, quiet: bool) -> tuple[Result, ...]:
    results = []
    with Interruption(_OneProcess()) as asked:
        for seed in range(options.seed, options.seed + options.seeds):
            results.append(_seed(task, options, seed, folder, resume, quiet, asked))
            if results[-1].status == Status.INTERRUPTED:
                break
    return tuple(results)


def _seed(task: Task, options: ImageOptions, seed: int, folder, resume: bool, quiet: bool, asked) -> Result:
    path = None if folder is None else Path(folder) / f"seed-{seed}.safetensors"
    if path is not None:
        make_folder(path.parent)
    run = fingerprint(task, options, seed)
    checkpoint = Checkpoint.load(path, run) if resume and path is not None and path.exists() else None
    parts = build(task, options, seed, Stopwatch())
    latest = {"saved": time.monotonic(), "progress": None}

    def save(progress) -> None:
        latest["progress"] = progress
        if path is not None and time.monotonic() - latest["saved"] > options.checkpoint_seconds:
            progress.checkpoint().save(path)
            latest["saved"] = time.monotonic()

    def watch(step) -> dict[str, float]:
        return {} if task.truth is None else {"PSNR": quality(task, step.terms.estimate.cpu().numpy())}

    start = checkpoint.iteration if checkpoint else 0
    with tqdm(total=options.steps, desc=f"seed {seed}", initial=start, disable=True if quiet else None) as bar:
        result = reconstruct(
            parts.objective,
            parts.optimizer,
            parts.stop,
            callbacks=[lambda progress: _show(bar, progress), save],
            resume=checkpoint,
            run=run,
            interrupted=asked.heard,
            watch=watch,
        )
    if path is not None and latest["progress"] is not None:
        latest["progress"].checkpoint().save(path)
    return result


def fingerprint(task: Task, options: ImageOptions, seed: int) -> str:
    """Names a run by data, operator and all options that can change the course of this seed."""
    chosen = asdict(options) | {"seed": seed, "seeds": 1, "checkpoint_seconds": 0, "threads": 0}
    known = [task.name, task.sigma, task.low, task.high, task.operator.domain.shape]
    digest = hashlib.sha256(json.dumps([chosen, known], sort_keys=True).encode())
    probe = task.operator.pinv(task.data.to(task.operator.device)).cpu()
    for array in (task.data, probe, torch.from_numpy(np.array(task.measured))):
        digest.update(array.resolve_conj().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class _OneProcess:
    """The part of a communicator that `Interruption` asks for."""

    rank, size = 0, 1


def _show(bar, progress) -> None:
    terms = progress.step.terms
    bar.update(1)
    words = {"loss": f"{float(terms.total.detach()):.3g}", "chi2": f"{terms.chi2:.3g}"}
    if terms.held_out == terms.held_out:
        words["held out"] = f"{terms.held_out:.3g}"
    bar.set_postfix(words, refresh=False)


def _measured_data(task: Task) -> torch.Tensor:
    data = torch.where(torch.from_numpy(np.array(task.measured)), task.data, torch.zeros_like(task.data))
    return data.to(task.operator.device)


def _pinv(task: Task, options: ImageOptions) -> np.ndarray:
    return task.operator.pinv(_measured_data(task)).cpu().numpy()


def _linear(task: Task, options: ImageOptions) -> None:
    if task.counts:
        raise OptionError(
            f"method: got {options.method!r} for {task.name}, whose noise grows with the counts; expected 'em' or a "
            "method of Poisson likelihood such as 'pixels-tv', 'dip' or 'dip-tv'"
        )


def _tikhonov(task: Task, options: ImageOptions) -> np.ndarray:
    _linear(task, options)
    data = _measured_data(task)
    return cgls(task.operator, data, options.steps, options.tikhonov * deviation_of(task) ** 2).cpu().numpy()


def _tv(task: Task, options: ImageOptions) -> np.ndarray:
    """The weight is that of networks: of the mean over pixels, against the mean over measurements."""
    _linear(task, options)
    count = task.measured.sum() * (2 if task.data.is_complex() else 1)
    pixels = np.prod(task.operator.domain.shape[-2:])
    weight = float(options.tv * count / (2 * pixels * unit_of(task)))
    bounds = {} if task.data.is_complex() or not options.bounded else {"lower": task.low, "upper": task.high}
    data = _measured_data(task)
    image = total_variation(task.operator, data, weight, deviation=deviation_of(task), steps=options.steps, **bounds)
    return image.cpu().numpy()


def _em(task: Task, options: ImageOptions) -> np.ndarray:
    if not task.counts:
        raise OptionError(f"method: got 'em' for {task.name}, expected counts; use 'tikhonov' or 'tv'")
    solve = transmission if isinstance(task.operator, Transmission) else em
    return solve(task.operator, task.data, options.steps).cpu().numpy()


_CLASSICAL = {"pinv": _pinv, "tikhonov": _tikhonov, "tv": _tv, "em": _em}
