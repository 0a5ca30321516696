"""Copies of networks that predict faster: folded BatchNorm, converted weights."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_disca.networks.network import Network

#: Attribute of classes with a `forward` of their own whose layers may be folded nevertheless.
FOLDABLE = "folds_batchnorm"
_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def prepared(
    network: Network, device: torch.device, dtype: torch.dtype, *, folded: bool = False
) -> Network:
    """Return a copy of a network for prediction only.

    It is in channels-last format. The weights of convolutions are in the type that autocast would
    otherwise convert them to in every pass.

    Parameters
    ----------
    network : Network
        Not changed.
    device : torch.device
    dtype : torch.dtype
        Of the forward pass; run it under autocast if it is not float32.
    folded : bool
        Whether to fold every BatchNorm that follows a convolution into its weights.
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

    In float32 the function stays the same up to rounding. Layers that compute something else than
    torch's, for instance a BatchNorm with an activation, stay as they are, unless their class has
    the attribute `FOLDABLE`.
    """
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        if type(module).forward != nn.Sequential.forward and not _is_foldable(module):
            continue  # it may use what is between two layers
        # With duplicates: a layer that occurs twice separates others at both places.
        named = module.named_modules(remove_duplicate=False)
        children = [(name, child) for name, child in named if name and "." not in name]
        for (name, first), (after, second) in pairwise(children):
            fused = _fused(first, second)
            if fused is not None:
                # By name, because modules of a Sequential made of an OrderedDict are not numbered.
                setattr(module, name, fused)
                setattr(module, after, nn.Identity())


def _is_foldable(module: nn.Module) -> bool:
    return bool(getattr(module, FOLDABLE, False))


def _fused(first: nn.Module, second: nn.Module) -> nn.Module | None:
    """Return a convolution that equals a convolution and a BatchNorm; None if there is none."""
    if not isinstance(first, nn.Conv2d | nn.ConvTranspose2d) or type(second) is not nn.BatchNorm2d:
        return None
    if type(first) not in (nn.Conv2d, nn.ConvTranspose2d) and not _is_foldable(first):
        return None
    transposed = isinstance(first, nn.ConvTranspose2d)
    computed = "weight" not in dict(first.named_parameters(recurse=False))  # weight normalisation
    if computed or second.running_mean is None or (transposed and first.groups > 1):
        return None  # nothing that torch's function can fold
    return fuse_conv_bn_eval(first, second, transpose=transposed)


def encoder_fingerprint(network: Network) -> str:
    """Return a short hash of the encoder's weights; empty if they are not known."""
    if not network.encoder_modules:
        return ""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in network.state_dict().items():
        if name.partition(".")[0] in network.encoder_modules:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
