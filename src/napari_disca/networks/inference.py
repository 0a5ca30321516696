"""Networks made ready for prediction: another form of the same function."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_disca.networks.network import Network

_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def prepared(
    network: Network, device: torch.device, dtype: torch.dtype, *, folded: bool = False
) -> Network:
    """Copy of a network for prediction only.

    Channels last; the weights of convolutions in the format that autocast would convert them to
    in every pass.

    Parameters
    ----------
    network : Network
        Left as it was.
    device : torch.device
    dtype : torch.dtype
        Of the forward pass; run it under autocast if it is not float32.
    folded : bool
        Make every BatchNorm behind a convolution part of that convolution.
    """
    copy: Network = deepcopy(network).to(device).eval().requires_grad_(False)
    if folded:
        fold_batchnorm(copy)
    if dtype != torch.float32:
        for module in copy.modules():
            if isinstance(module, _WEIGHTED):
                module.to(dtype)
    return copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fold_batchnorm(network: nn.Module) -> None:
    """Fold every BatchNorm that follows a convolution in a sequence into its weights, in place.

    In float32 the function stays the same up to rounding.
    """
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for (name, first), (after, second) in pairwise(list(module.named_children())):
            if isinstance(first, nn.Conv2d | nn.ConvTranspose2d) and isinstance(
                second, nn.BatchNorm2d
            ):
                transposed = isinstance(first, nn.ConvTranspose2d)
                # By name: a Sequential made of an OrderedDict has no numbers.
                setattr(module, name, fuse_conv_bn_eval(first, second, transpose=transposed))
                setattr(module, after, nn.Identity())


def encoder_fingerprint(network: Network) -> str:
    """Short hash of the weights that `Network.encode` uses; empty where they are not known."""
    if not network.encoder_modules:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in network.state_dict().items():
        if name.partition(".")[0] in network.encoder_modules:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
