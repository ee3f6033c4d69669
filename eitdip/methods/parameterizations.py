"""Names of generators and links become a parameterization of a problem's unknown: a table each."""

from functools import partial

import torch
from torch import nn

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
from eitdip.problems.unknown import Grid, Unknown


def parameterization(unknown: Unknown, method: Method, seed: int) -> tuple[Parameterization, Grid]:
    """Fresh weights and a link, and the grid on which the field lives.

    Args:
        unknown: What is sought.
        method: Completed settings.
        seed: Of weights and latent tensor.
    """
    generator, grid = GENERATORS[method.generator](unknown, method, seed)
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


def _network(kind, unknown: Unknown, method: Method, seed: int) -> tuple[nn.Module, Grid]:
    network = kind(
        channels=method.channels, levels=method.levels, dimension=unknown.dimension, outputs=unknown.channels
    )
    grid = unknown.grid("pixels", method.size, 2**method.levels)
    prior = draw_prior(network, grid.padded, seed, method.input_noise)
    return (prior if grid.padded == grid.shape else Cropped(prior, grid.shape)), grid


def _coordinates(kind: str, unknown: Unknown, method: Method, seed: int):
    # Pictures have finer detail than conductivities seen from the boundary.
    finer = {"frequency": {"fourier": 8.0, "sine": 30.0}[kind]} if unknown.kind == "image" else {}
    network = CoordinateNetwork(kind, method.channels, dimension=unknown.dimension, **finer)
    grid = unknown.grid("pixels", method.size)
    return CoordinateField(initialize(network, torch.Generator().manual_seed(seed)), grid.shape), grid


def _two_layer(unknown: Unknown, method: Method, seed: int):
    grid = unknown.grid("pixels", method.size)
    return draw_two_layer(grid.shape, method.channels, seed=seed), grid


def _level_set(unknown: Unknown, method: Method, seed: int):
    grid = unknown.grid("pixels", method.size)
    return LevelSets(grid.shape, method.channels), grid


def _free(name: str, unknown: Unknown, method: Method, seed: int):
    grid = unknown.grid(name, method.size)
    return FreeField(grid.shape if unknown.channels == 1 else (unknown.channels, *grid.shape)), grid


GENERATORS = {
    "decoder": partial(_network, Decoder),
    "unet": partial(_network, UNet),
    "skip": partial(_network, SkipNetwork),
    "deep-decoder": partial(_network, DeepDecoder),
    "convolutional-decoder": partial(_network, ConvolutionalDecoder),
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
