"""Weights drawn from an explicit generator."""

import math

import torch
from torch import nn

from eitdip.errors import OptionError


def initialize(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw all weights anew; networks with an `output` layer get it zero, so they start at 0.

    The distributions are torch's defaults, but no global random state is read or changed.
    A layer of another kind brings its own rule as a method `draw(generator)`.

    Args:
        network: Module of convolutions, linear layers, norms, and layers that draw themselves.
        generator: Source of randomness, on the CPU.

    Returns:
        The same network.

    Raises:
        OptionError: If a layer with parameters is of a kind that has no rule here.
    """
    with torch.no_grad():
        for name, layer in network.named_modules():
            own = list(layer.parameters(recurse=False))
            if hasattr(layer, "draw"):
                layer.draw(generator)
                continue
            if not own:
                continue
            if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
                bound = 1 / math.sqrt(layer.weight[0].numel())
                for parameter in own:
                    parameter.uniform_(-bound, bound, generator=generator)
            elif isinstance(layer, nn.GroupNorm):
                layer.weight.fill_(1)
                layer.bias.zero_()
            else:
                raise OptionError(f"initialize: no rule for layer {name!r} of type {type(layer).__name__}")
        output = getattr(network, "output", None)
        if output is not None:
            for parameter in output.parameters():
                parameter.zero_()
    return network
