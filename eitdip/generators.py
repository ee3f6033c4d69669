"""Names of generators and links become objects on a mesh: a table each."""

from functools import partial

import numpy as np
from scipy import sparse

from eitdip.fem import Discretization, pixel_map
from eitdip.mesh import Domain
from eitdip.networks import ConvolutionalDecoder, CoordinateNetwork, Decoder, DeepDecoder, SkipNetwork, UNet
from eitdip.operator import Matrix
from eitdip.options import Options
from eitdip.parameterization import (
    Bounded,
    CoordinateField,
    DeepImagePrior,
    Exp,
    FreeField,
    LevelSets,
    Link,
    Softplus,
    TwoLayer,
)
from eitdip.penalty import MeshGradients, MeshJumps, PixelDifferences


def image_shape(domain: Domain, size: int, multiple: int = 1) -> tuple[int, ...]:
    """(size, size) over the square of a plane domain; (D, H, W) of near-cubic voxels over the box of a solid.

    Args:
        domain: The mesh.
        size: Pixels per side, or voxels along the largest extent.
        multiple: What each side of a solid's image is a multiple of, at least twice it.
    """
    if domain.dimension == 2:
        return (size, size)
    widths = np.ptp(domain.points, axis=0)[::-1]  # z, y, x
    return tuple(max(2, round(width / widths.max() * size / multiple)) * multiple for width in widths)


def _differences(domain: Domain, shape: tuple[int, ...]) -> PixelDifferences:
    if domain.dimension == 2:
        return PixelDifferences()
    voxel = np.ptp(domain.points, axis=0)[::-1] / shape
    return PixelDifferences(spacing=tuple(float(side) for side in voxel / voxel.max()))


def _on_image(make, space: Discretization, options: Options, multiple: int):
    """A generator on the image, its map to the mesh, and the image's differences."""
    shape = image_shape(space.domain, options.size, multiple)
    return make(shape), pixel_map(space, shape), _differences(space.domain, shape)


def _decoder(kind, space: Discretization, options: Options, seed: int):
    levels = max(1, round(np.log2(options.size / 8)))
    network = kind(channels=options.channels, levels=levels, dimension=space.domain.dimension)
    return _on_image(lambda shape: DeepImagePrior(network, shape, seed), space, options, 2**levels)


def _hourglass(kind, space: Discretization, options: Options, seed: int):
    network = kind(channels=options.channels, dimension=space.domain.dimension)
    return _on_image(lambda shape: DeepImagePrior(network, shape, seed), space, options, 2**network.levels)


def _two_layer(space: Discretization, options: Options, seed: int):
    return _on_image(lambda shape: TwoLayer(shape, options.channels, seed=seed), space, options, 1)


def _coordinates(kind: str, space: Discretization, options: Options, seed: int):
    network = CoordinateNetwork(kind, options.channels, dimension=space.domain.dimension)
    return _on_image(lambda shape: CoordinateField(network, shape, seed), space, options, 1)


def _level_set(space: Discretization, options: Options, seed: int):
    return _on_image(lambda shape: LevelSets(shape, options.channels), space, options, 1)


def _pixels(space: Discretization, options: Options, seed: int):
    return _on_image(FreeField, space, options, 1)


def _cells(space: Discretization, options: Options, seed: int):
    return FreeField(space.sigma_space.shape), None, MeshJumps(*space.domain.jumps)


def _vertices(space: Discretization, options: Options, seed: int):
    """Linear between vertices; the model takes its mean over each cell, as from all other generators."""
    domain = space.domain
    corners = np.searchsorted(domain.vertices, domain.corners)
    rows = np.repeat(np.arange(len(corners)), corners.shape[1])
    shape = (len(corners), len(domain.vertices))
    mean = sparse.csr_array((np.full(corners.size, 1 / corners.shape[1]), (rows, corners.ravel())), shape=shape)
    field_map = Matrix(mean, range=space.sigma_space)
    return FreeField(shape[1:]), field_map, MeshGradients(domain)


GENERATORS = {
    "decoder": partial(_decoder, Decoder),
    "unet": partial(_hourglass, UNet),
    "skip": partial(_hourglass, SkipNetwork),
    "deep-decoder": partial(_decoder, DeepDecoder),
    "convolutional-decoder": partial(_decoder, ConvolutionalDecoder),
    "two-layer": _two_layer,
    "fourier": partial(_coordinates, "fourier"),
    "sine": partial(_coordinates, "sine"),
    "level-set": _level_set,
    "pixels": _pixels,
    "vertices": _vertices,
    "cells": _cells,
}


def _bounded(background: float, options: Options) -> Link:
    return Bounded(background, options.low * background, options.high * background)


LINKS = {
    "bounded": _bounded,
    "exp": lambda background, options: Exp(background),
    "softplus": lambda background, options: Softplus(background),
}
