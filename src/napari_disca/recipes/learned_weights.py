"""Chooses the weights of a network that learn, and copies them after learning."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import nn

from napari_disca.core.errors import RecipeError
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute

#: The weights that learn.
Parameters: TypeAlias = Literal["batchnorm", "all", "decoder", "decoder batchnorm"]


def unfreeze(network: Network, parameters: Parameters) -> list[nn.Parameter]:
    """Set which parameters of a network need gradients, and return them.

    Parameters
    ----------
    network : Network
        Changed in place.
    parameters : {"batchnorm", "all", "decoder", "decoder batchnorm"}

    Raises
    ------
    RecipeError
        If the network has none of the chosen kind.
    """
    if parameters.startswith("decoder") and not network.encoder_modules:
        raise RecipeError(
            f"the architecture {network.card.architecture} does not name its encoder, so its "
            "decoder cannot be adapted alone; choose parameters = batchnorm or all"
        )
    frozen = network.encoder_modules if parameters.startswith("decoder") else ()
    everything = parameters in ("all", "decoder")
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for name, module in network.named_modules():
        if name.partition(".")[0] in frozen:
            continue
        if everything or _is_batchnorm(module):
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(True)
    learned = [p for p in network.parameters() if p.requires_grad]
    if learned:
        return learned
    if not list(network.parameters()):
        raise RecipeError(
            "this network has no weights that can learn (a frozen TorchScript?); choose the "
            "recipe disir, or export it unfrozen"
        )
    what = "decoder" if parameters == "decoder" else "BatchNorm layers"
    raise RecipeError(f"this network has no {what} to adapt; choose parameters = all")


def usual_parameters(network: Network) -> Parameters:
    """Return the weights that learn by default: of BatchNorm layers, if the network has any."""
    return "batchnorm" if any(map(_is_batchnorm, network.modules())) else "all"


def _is_batchnorm(module: nn.Module) -> bool:
    # In TorchScript the class of a layer is only known by name.
    scripted = getattr(module, "original_name", "") == "BatchNorm2d"
    return scripted or isinstance(module, nn.BatchNorm2d)


def convert_fixed(network: Network, compute: Compute) -> None:
    """Convert fixed weights to the precision of autocast once, instead of in every pass.

    Parameters
    ----------
    network : Network
        After `unfreeze`; changed in place.
    compute : Compute
    """
    if compute.dtype != torch.float32:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not any(
                parameter.requires_grad for parameter in module.parameters()
            ):
                module.to(compute.dtype)


def with_learned(network: Network, learner: Network) -> Network:
    """Copy the weights that have learned into a network, and return it.

    Parameters
    ----------
    network : Network
        Changed in place; of the same architecture.
    learner : Network
        Has learned after `unfreeze`.
    """
    weights = dict(network.named_parameters())
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            if parameter.requires_grad:
                weights[name].copy_(parameter)
    network.requires_grad_(False)
    return network
