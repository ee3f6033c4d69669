"""Gray, coloured and complex images beside each other, on one linear gray scale."""

import numpy as np

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.plot.scales import beyond, robust_limits
from eitdip.plot.style import axes_or_new, picture, plain


def pictures(path, panels, low: float | None = None, high: float | None = None, columns: int = 4) -> None:
    """Images with a title each; of complex ones the modulus.

    Args:
        path: Where the picture goes: .png, .pdf or .svg.
        panels: Title to image: (H, W), or (3, H, W) for colours from `low` to `high`.
        low: Value that is black; by default the least of all, but for the extreme 0.2 % of the pixels of each.
        high: Value that is white; by default the largest of all, likewise.
        columns: Panels in a row.
    """
    shown = {title: _checked(title, image) for title, image in panels.items()}
    low, high = _limits(shown.values(), low, high)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    with picture(path, (2.6 * columns + 0.8, 2.8 * rows)) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        drawn = [
            _draw(place, image, low, high, title) for place, (title, image) in zip(axes, shown.items(), strict=False)
        ]
        for place in axes:
            place.set_axis_off()
        gray = [each for each in drawn if each.get_array().ndim == 2]
        if gray:
            values = np.concatenate([each.get_array().ravel() for each in gray])
            figure.colorbar(gray[-1], ax=list(axes), pad=0.02, aspect=24, extend=beyond(values, *gray[-1].get_clim()))


def draw_picture(ax, image, low: float | None = None, high: float | None = None, title: str = ""):
    """One image in given axes, with a colour bar if it is gray.

    Args:
        ax: Axes of matplotlib, or None for a new figure.
        image, low, high: As for `pictures`.
        title: Above the image.

    Returns:
        The axes.
    """
    ax, image = axes_or_new(ax), _checked(title or "image", image)
    drawn = _draw(ax, image, *_limits([image], low, high), title)
    ax.set_axis_off()
    if image.ndim == 2:
        ax.figure.colorbar(drawn, ax=ax, pad=0.02, aspect=24, extend=beyond(image, *drawn.get_clim()))
    return ax


def _limits(images, low: float | None, high: float | None) -> tuple[float, float]:
    """The given limits, else those of the images that single pixels do not move."""
    each = [robust_limits(image) for image in images]
    least, largest = min(pair[0] for pair in each), max(pair[1] for pair in each)
    return least if low is None else low, largest if high is None else high


def _checked(title: str, image) -> np.ndarray:
    image = np.abs(image) if np.iscomplexobj(image) else np.asarray(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and len(image) != 3):
        raise ShapeError(f"{title}: got shape {image.shape}, expected (H, W) or (3, H, W)")
    if not np.isfinite(image).all():
        raise InvalidDataError(f"{title}: got NaN or infinity, expected an image of finite numbers")
    return image


def _draw(axes, image: np.ndarray, low: float, high: float, title: str):
    span = high - low if high > low else 1.0
    axes.set_title(plain(title))
    if image.ndim == 3:
        return axes.imshow(np.moveaxis(((image - low) / span).clip(0, 1), 0, -1), interpolation="nearest")
    return axes.imshow(image, cmap="gray", vmin=low, vmax=low + span, interpolation="nearest")
