"""Names of generators and links become a parameterization of a problem's unknown: a table each."""

from functools import partial

import torch
from torch import nn

from eitdip.methods.educated import educated
from eitdip.methods.options import Method
from eitdip.networks import (
    ConvolutionalDecoder,
    CoordinateNetwork,
    Decoder,
    DeepDecoder,
    SkipNetwork,
    UNet,
    initialize,
)
from eitdip.parameterization import (
    CoordinateField,
    Cropped,
    Exp,
    FreeField,
    LevelSets,
    Parameterization,
    Softplus,
    draw_prior,
    draw_two_layer,
)
from eitdip.problems.problem import Problem
from eitdip.problems.unknown import Grid


def parameterization(problem: Problem, method: Method, seed: int) -> tuple[Parameterization, Grid]:
    """Fresh or pretrained weights and a link, and the grid on which the field lives.

    Args:
        problem: Its unknown is what is sought; its data are the input of a pretrained network.
        method: Completed settings.
        seed: Of weights and latent tensor.
    """
    unknown = problem.unknown
    generator, grid = GENERATORS[method.generator](problem, method, seed)
    link = LINKS[method.link](unknown, method)
    body = unknown.kind != "image"
    return (
        Parameterization(
            generator,
            link,
            grid.field_map,
            fit_drift=body and method.fit_drift,
            unit=unknown.unit,
            complex=unknown.complex,
        ),
        grid,
    )


def _network(kind, problem: Problem, method: Method, seed: int) -> tuple[nn.Module, Grid]:
    unknown = problem.unknown
    network = kind(
        channels=method.channels, levels=method.levels, dimension=unknown.dimension, outputs=unknown.channels
    )
    grid = unknown.grid("pixels", method.size, 2**method.levels)
    prior = draw_prior(network, grid.padded, seed, method.input_noise)
    return (prior if grid.padded == grid.shape else Cropped(prior, grid.shape)), grid


def _coordinates(kind: str, problem: Problem, method: Method, seed: int):
    unknown = problem.unknown
    # Pictures have finer detail than conductivities seen from the boundary.
    finer = {"frequency": {"fourier": 8.0, "sine": 30.0}[kind]} if unknown.kind == "image" else {}
    network = CoordinateNetwork(kind, method.channels, dimension=unknown.dimension, **finer)
    grid = unknown.grid("pixels", method.size)
    return CoordinateField(initialize(network, torch.Generator().manual_seed(seed)), grid.shape), grid


def _two_layer(problem: Problem, method: Method, seed: int):
    grid = problem.unknown.grid("pixels", method.size)
    return draw_two_layer(grid.shape, method.channels, seed=seed), grid


def _level_set(problem: Problem, method: Method, seed: int):
    grid = problem.unknown.grid("pixels", method.size)
    return LevelSets(grid.shape, method.channels), grid


def _free(name: str, problem: Problem, method: Method, seed: int):
    unknown = problem.unknown
    grid = unknown.grid(name, method.size)
    return FreeField(grid.shape if unknown.channels == 1 else (unknown.channels, *grid.shape)), grid


GENERATORS = {
    "decoder": partial(_network, Decoder),
    "unet": partial(_network, UNet),
    "skip": partial(_network, SkipNetwork),
    "deep-decoder": partial(_network, DeepDecoder),
    "convolutional-decoder": partial(_network, ConvolutionalDecoder),
    "educated": educated,
    "two-layer": _two_layer,
    "fourier": partial(_coordinates, "fourier"),
    "sine": partial(_coordinates, "sine"),
    "level-set": _level_set,
    "pixels": partial(_free, "pixels"),
    "vertices": partial(_free, "vertices"),
    "cells": partial(_free, "cells"),
}

LINKS = {
    "bounded": lambda unknown, method: unknown.bounded(method.low, method.high),
    "exp": lambda unknown, method: Exp(unknown.start),
    "softplus": lambda unknown, method: Softplus(unknown.start),
    "free": lambda unknown, method: unknown.free(),
}
