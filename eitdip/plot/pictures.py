"""Gray, coloured and complex images beside each other, on one linear gray scale."""

import numpy as np

from eitdip.errors import InvalidDataError, ShapeError
from eitdip.plot.style import picture


def pictures(path, panels, low: float | None = None, high: float | None = None, columns: int = 4) -> None:
    """Images with a title each; of complex ones the modulus.

    Args:
        path: Where the PNG goes.
        panels: Title to image: (H, W), or (3, H, W) for colours from `low` to `high`.
        low: Value that is black; by default the least of all.
        high: Value that is white; by default the largest of all.
        columns: Panels in a row.
    """
    shown = {title: np.abs(image) if np.iscomplexobj(image) else np.asarray(image) for title, image in panels.items()}
    for title, image in shown.items():
        if image.ndim not in (2, 3) or (image.ndim == 3 and len(image) != 3):
            raise ShapeError(f"{title}: got shape {image.shape}, expected (H, W) or (3, H, W)")
        if not np.isfinite(image).all():
            raise InvalidDataError(f"{title}: got NaN or infinity, expected an image of finite numbers")
    low = min(image.min() for image in shown.values()) if low is None else low
    high = max(image.max() for image in shown.values()) if high is None else high
    span = high - low if high > low else 1.0
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    with picture(path, (2.6 * columns + 0.8, 2.8 * rows)) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        drawn = None
        for place, (title, image) in zip(axes, shown.items(), strict=False):
            if image.ndim == 3:
                place.imshow(np.moveaxis(((image - low) / span).clip(0, 1), 0, -1))
            else:
                drawn = place.imshow(image, cmap="gray", vmin=low, vmax=low + span)
            place.set_title(title)
        for place in axes:
            place.set_axis_off()
        if drawn is not None:
            figure.colorbar(drawn, ax=list(axes), pad=0.02, aspect=24)
