"""Loss of classes of pixels: cross-entropy, and the Kuopio challenge's score of the soft classes."""

import torch
from torch import nn
from torch.nn import functional


class Classes(nn.Module):
    """Two cross-entropies and one minus the score, which is nothing but a few small matrix products.

    Of each class but the first, the masks of target and answer are compared by their structural similarity under a wide
    Gaussian window, as `eitdip.metrics.ktc_score` does on 256 x 256 pixels. With the soft classes in place of masks it
    can be trained on, and it weighs an object by what it is worth: alone the cross-entropy favours large ones.

    Args:
        shape: Of the images, (H, W) or (D, H, W); or one number of pixels along both sides.
        width: Standard deviation of the window, pixels; it is cut at twice that.
    """

    def __init__(self, shape: int | tuple[int, ...], width: float):
        super().__init__()
        shape = (shape, shape) if isinstance(shape, int) else tuple(shape)
        for axis, side in enumerate(shape):
            distance = torch.arange(side)[:, None] - torch.arange(side)
            weights = torch.exp(-0.5 * (distance / width) ** 2) * (distance.abs() <= 2 * width)
            self.register_buffer(f"_window_{axis}", weights / weights.sum(dim=1, keepdim=True), persistent=False)
        self._dimension = len(shape)

    def images(self, outputs: torch.Tensor) -> torch.Tensor:
        """Probabilities of the classes, (B, C, *shape), of logits."""
        return outputs.softmax(dim=1)

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named losses of logits and shares of classes, both (B, C, *shape)."""
        entropy = functional.cross_entropy(outputs, targets)
        return {"cross-entropy": 2 * entropy, "score": 1 - self.score(outputs.softmax(dim=1), targets)}

    def score(self, answers: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean over pairs and classes but the first of the similarity; 1 for the same."""
        a, b = answers[:, 1:], targets[:, 1:]
        mean_a, mean_b, squares_a, squares_b, both = map(self._averaged, (a, b, a * a, b * b, a * b))
        c1, c2 = 0.01**2, 0.03**2
        means = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        spread = squares_a - mean_a**2 + squares_b - mean_b**2 + c2
        return (means * (2 * (both - mean_a * mean_b) + c2) / spread).mean()

    def _averaged(self, values: torch.Tensor) -> torch.Tensor:
        """Under the window around each pixel: one small matrix product along each axis."""
        for axis in range(self._dimension):
            window, along = getattr(self, f"_window_{axis}"), 2 + axis
            values = (window @ values.movedim(along, -2)).movedim(-2, along)
        return values
