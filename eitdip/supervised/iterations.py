"""The unrolled iterations: gradient descent, ISTA, ADMM, primal-dual and expectation maximization."""

from math import log

import torch
from torch import nn

from eitdip.classical.counts import em_step, em_weights
from eitdip.errors import InvalidDataError, OptionError
from eitdip.imaging import ImagingOperator
from eitdip.operator import cgls
from eitdip.supervised.unrolled import Unrolled


class LearnedGradient(Unrolled):
    """x + t_k d + network_k(x, d) with d = -A*(A x - y) / |A|^2: untrained, Landweber's iteration from A^+ y.

    Args:
        operator: A.
        iterations: How many.
        width: Channels of the networks.
        seed: Of their weights.

    References:
        Adler, Öktem (2017), Inverse Problems 33, 124007.
    """

    def __init__(self, operator: ImagingOperator, iterations: int = 6, width: int = 32, seed: int = 0):
        super().__init__(operator, 2, iterations, width, seed)
        self.steps = self._numbers(iterations)

    def first(self, y):
        return {"x": self.operator.pinv(y)}

    def step(self, k, state, y):
        x = state["x"]
        downhill = self._descend(x, y)
        return {"x": x + self.steps[k] * downhill + self.corrections[k](x, downhill)}


class LearnedISTA(Unrolled):
    """z = x + t_k d; x = S_k(W_k, z) + network_k(z): soft thresholding of learned filters.

    Untrained there is one filter, the identity, and the threshold `threshold`: ISTA for sparse images.

    Args:
        operator: A.
        threshold: First one, > 0.
        filters: Number of filters.
        iterations: How many.
        width: Channels of the networks.
        seed: Of their weights.

    References:
        Gregor, LeCun (2010), ICML; Zhang, Ghanem (2018), CVPR (ISTA-Net).
    """

    def __init__(self, operator, threshold: float = 1e-3, filters: int = 8, iterations: int = 6, width: int = 32,
                 seed: int = 0):  # fmt: skip
        super().__init__(operator, 1, iterations, width, seed)
        if not 0 < threshold < float("inf"):
            raise OptionError(f"threshold: got {threshold}, expected > 0 and finite")
        self.steps = self._numbers(iterations)
        self.log_threshold = self._numbers(iterations, value=log(threshold))
        self.analysis = nn.Parameter(_delta(iterations, filters, 1).to(self.kind))
        self.synthesis = nn.Parameter(_delta(iterations, 1, filters).to(self.kind))

    def step(self, k, state, y):
        z = state["x"] + self.steps[k] * self._descend(state["x"], y)
        coefficients = nn.functional.conv2d(z[:, None], self.analysis[k], padding=1)
        coefficients = coefficients.sign() * torch.relu(coefficients.abs() - self.log_threshold[k].exp())
        sparse = nn.functional.conv2d(coefficients, self.synthesis[k], padding=1)[:, 0]
        return {"x": sparse + self.corrections[k](z)}


class LearnedADMM(Unrolled):
    """x = argmin |A x - y|^2 + r_k |A|^2 |x - z + u|^2; z = x + u + network_k(x + u); u = u + x - z.

    Untrained the network is the identity and u stays 0: iterated Tikhonov regularization. The inner problem is solved
    by conjugate gradients.

    Args:
        operator: A.
        penalty: First r, > 0.
        inner: Steps of conjugate gradients.
        iterations: How many.
        width: Channels of the networks.
        seed: Of their weights.

    References:
        Yang, Sun, Li, Xu (2016), NeurIPS (ADMM-Net).
    """

    def __init__(self, operator, penalty: float = 0.1, inner: int = 8, iterations: int = 6, width: int = 32,
                 seed: int = 0):  # fmt: skip
        super().__init__(operator, 1, iterations, width, seed)
        if not 0 < penalty < float("inf") or inner < 1:
            raise OptionError(f"penalty, inner: got {penalty}, {inner}; expected > 0 and at least 1")
        self.inner = inner
        self.log_penalty = self._numbers(iterations, value=log(penalty))

    def first(self, y):
        zero = torch.zeros_like(self.operator.adjoint(y))
        return {"x": zero, "z": zero, "u": zero}

    def step(self, k, state, y):
        z, u = state["z"], state["u"]
        anchor = z - u
        weight = self.log_penalty[k].exp() * self.size**2
        x = anchor + cgls(self.operator, y - self.operator(anchor), self.inner, weight)
        z = x + u + self.corrections[k](x + u)
        return {"x": x if k < self.iterations - 1 else z, "z": z, "u": u + x - z}


class LearnedPrimalDual(Unrolled):
    """The primal-dual hybrid gradient method for |A x - y|^2 with learned corrections on both sides.

    h = (h + s (A x' - y)) / (1 + s) + dual network(h, A x', y); x = x - t A* h + network(x, A* h); x' = 2 x - x_old,
    where A and y are divided by |A|. Untrained it is that method.

    Args:
        operator: A on images (H, W) with data (H', W'), such as sinograms.
        iterations: How many.
        width: Channels of the networks.
        seed: Of their weights.

    References:
        Adler, Öktem (2018), IEEE Trans. Med. Imaging 37(6).
    """

    def __init__(self, operator: ImagingOperator, iterations: int = 6, width: int = 32, seed: int = 0):
        super().__init__(operator, 2, iterations, width, seed)
        if len(operator.range.shape) != 2:
            raise OptionError(f"operator: got data of shape {operator.range.shape}, expected two axes")
        self.steps = self._numbers(2, iterations)
        self.dual_corrections = self._networks(3, stream=1)

    def first(self, y):
        x = torch.zeros_like(self.operator.adjoint(y))
        return {"x": x, "extended": x, "h": torch.zeros_like(y)}

    def step(self, k, state, y):
        x, h = state["x"], state["h"]
        sigma, tau = self.steps[0, k], self.steps[1, k]
        predicted, data = self.operator(state["extended"]) / self.size, y / self.size
        h = (h + sigma * (predicted - data)) / (1 + sigma) + self.dual_corrections[k](h, predicted, data)
        back = self.operator.adjoint(h) / self.size
        new = x - tau * back + self.corrections[k](x, back)
        return {"x": new, "extended": 2 * new - x, "h": h}


class LearnedEM(Unrolled):
    """x = EM step of x, times exp(network(x, EM step)): images stay positive.

    Args:
        operator: A with entries >= 0, such as `eitdip.imaging.EmissionPET`.
        iterations: How many.
        width: Channels of the networks.
        seed: Of their weights.
        background: Mean counts beside A x, >= 0, broadcastable.

    References:
        Mehranian, Reader (2021), IEEE Trans. Radiat. Plasma Med. Sci. 5(1), in the idea.
    """

    def __init__(self, operator: ImagingOperator, iterations: int = 6, width: int = 32, seed: int = 0, background=0.0):
        super().__init__(operator, 2, iterations, width, seed)
        seen, share = em_weights(operator)
        background = torch.as_tensor(background, dtype=self.kind, device=operator.device)
        for name, value in (("seen", seen), ("share", share), ("background", background)):
            self.register_buffer(name, value, persistent=False)

    def first(self, y):
        # No integers asked: these are also perturbed, to see how stable the network is.
        if not (torch.isfinite(y) & (y >= 0)).all():
            raise InvalidDataError("counts: got negative ones, NaN or infinity; expected numbers >= 0")
        return {"x": self.seen.expand(len(y), *self.seen.shape)}

    def step(self, k, state, y):
        x = state["x"]
        em = em_step(self.operator, y, self.background, x, self.share)
        # Over their mean: the factor does not depend on how many counts there are.
        level = em.mean(dim=(-2, -1), keepdim=True).clamp(min=torch.finfo(em.dtype).tiny)
        return {"x": em * torch.exp(self.corrections[k](x / level, em / level))}


def _delta(iterations: int, outputs: int, inputs: int) -> torch.Tensor:
    """3 x 3 kernels (iterations, outputs, inputs, 3, 3) that copy the first channel to the first."""
    kernels = torch.zeros(iterations, outputs, inputs, 3, 3)
    kernels[:, 0, 0, 1, 1] = 1.0
    return kernels
