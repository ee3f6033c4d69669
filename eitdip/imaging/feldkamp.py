"""Filtered back-projection of cone beams."""

import numpy as np
import torch

from eitdip.imaging.beams import view_weights
from eitdip.imaging.ct import ramp_filtered
from eitdip.imaging.panels import Panels


def feldkamp(y: torch.Tensor, panels: Panels, shape: tuple[int, int, int], voxel_size: float) -> torch.Tensor:
    """The volume that projections show, exact in the plane of a circle of sources and fair near it.

    Each view is weighted by the obliqueness of its rays, filtered along its rows by the ramp, and spread over the
    voxels, the nearer ones counting more. Sources are taken to be on about a circle about the z-axis and detectors to
    face them.

    Args:
        y: Projections (B, A, R, C).
        panels: Where they were taken.
        shape: Of the volume (D, H, W).
        voxel_size: Side of a voxel, in the unit of length of the panels.

    Returns:
        Volumes (B, D, H, W).

    References:
        Feldkamp, Davis, Kress (1984), Journal of the Optical Society of America A 1(6).
    """
    points = torch.from_numpy(voxel_centres(shape, voxel_size)).to(y)
    total = y.new_zeros(len(y), *shape)
    for view, weight in enumerate(view_weights(panels)):
        one = panels.select([view])
        _, directions = one.rays()
        cosine = torch.from_numpy(directions[0] @ one.normals[0]).to(y)
        source, normal = (torch.tensor(value[0]).to(y) for value in (one.sources, one.normals))
        to_axis = float(-one.sources[0] @ one.normals[0])  # how far the axis of rotation is from the source
        to_panel = float(one.distances[0])
        pitch = float(np.linalg.norm(one.across[0])) * to_axis / to_panel
        filtered = ramp_filtered(y[:, view] * cosine, pitch)
        depth = (points - source) @ normal
        where = source + (points - source) * (to_panel / depth)[..., None]
        places = _places(where - torch.tensor(one.centres[0]).to(y), one).reshape(1, -1, shape[-1], 2)
        spread = torch.nn.functional.grid_sample(filtered[None], places, align_corners=True)[0]
        total += weight * spread.reshape(len(y), *shape) * (to_axis / depth).square()
    return total


def voxel_centres(shape: tuple[int, int, int], voxel_size: float) -> np.ndarray:
    """Of a volume (D, H, W), as `ConeBeamCT` has them: shape (D, H, W, 3), as x, y, z."""
    z, y, x = ((np.arange(count) - (count - 1) / 2) * voxel_size for count in shape)
    return np.stack(np.broadcast_arrays(x, -y[:, None], z[:, None, None]), axis=-1)


def _places(points: torch.Tensor, one: Panels) -> torch.Tensor:
    """Column and row of points in the plane of a detector, from -1 to 1 between the first and the last pixel."""
    steps = np.stack([one.across[0], one.up[0]])
    coordinates = torch.from_numpy(np.linalg.pinv(steps)).to(points)
    half = torch.tensor([max(one.detectors - 1, 1), max(one.rows - 1, 1)]).to(points) / 2
    return points @ coordinates / half
