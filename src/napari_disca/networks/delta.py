"""What an adaptation has changed in a network, stored compactly: a `Delta`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_disca.networks.files import fingerprint
from napari_disca.networks.network import Network
from napari_disca.storage.cache_folder import CacheFolder

#: The largest change is scaled to 2**15 at most: half precision ends at 65504.
_TOP = 15
_HEADER_KEY = "napari-disca delta"
_SUFFIX = ".delta.safetensors"
#: Prefix in a file of the names of tensors that are not differences of weights.
_EXTRA = "beside:"
_CACHE_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Differences between two networks of one architecture, in half precision.

    Every tensor is scaled by a power of two before the conversion, because with the published
    learning rate of 2e-7 changes are so small that half precision would round them to zero. The
    error is at most one part in 2048 of a change.

    Attributes
    ----------
    tensors : mapping of str to Tensor
        By name in the state dict, on the CPU: changes as float16; of integers the new values.
    exponents : mapping of str to int
        Changes were multiplied by ``2 ** exponent``.
    extra : mapping of str to Tensor
        Learned tensors that are not weights, unchanged (`AdaptationResult.tensors`).
    """

    tensors: Mapping[str, Tensor]
    exponents: Mapping[str, int]
    extra: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def between(
        cls, adapted: Network, original: Network, extra: Mapping[str, Tensor] | None = None
    ) -> Delta:
        """Return the differences of an adapted network to the original, and its extra tensors."""
        before = original.state_dict()
        tensors, exponents = {}, {}
        for name, tensor in adapted.state_dict().items():
            now, then = tensor.detach().cpu(), before[name].detach().cpu()
            if now.equal(then):
                continue
            if not now.is_floating_point():
                tensors[name] = now.clone()
                continue
            change = now.double() - then.double()
            exponents[name] = _TOP - int(torch.frexp(change.abs().max()).exponent)
            tensors[name] = (change * 2.0 ** exponents[name]).half()
        copies = {name: tensor.detach().cpu().clone() for name, tensor in (extra or {}).items()}
        return cls(tensors, exponents, copies)

    def applied(self, original: Network) -> Network:
        """Return a copy of a network with the differences added, bitwise equal on every device."""
        network: Network = deepcopy(original)
        state = network.state_dict()
        for name, tensor in self.tensors.items():
            if name in self.exponents:
                then = state[name].detach().cpu()
                change = tensor.double() * 2.0 ** -self.exponents[name]
                tensor = (then.double() + change).to(then.dtype)
            state[name] = tensor.to(state[name].device)
        network.load_state_dict(state)
        return network

    def fits(self, original: Network) -> bool:
        """Whether a network has all these tensors, in the same shapes."""
        state = original.state_dict()
        return all(
            name in state
            and state[name].shape == tensor.shape
            and state[name].is_floating_point() == (name in self.exponents)
            for name, tensor in self.tensors.items()
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(
            tensor.numel() * tensor.element_size()
            for tensor in (*self.tensors.values(), *self.extra.values())
        )

    def fingerprint(self, network: Network) -> str:
        """Return a short hash of the adapted network and the extra tensors.

        Parameters
        ----------
        network : Network
            The adapted network, of `applied`.
        """
        weights = fingerprint(network)
        if not self.extra:
            return weights
        digest = hashlib.blake2b(weights.encode(), digest_size=len(weights) // 2)
        for name, tensor in sorted(self.extra.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


class DeltaCache:
    """Deltas in a folder of limited size, by the fingerprint of the adapted network.

    An error of the disk or a damaged file counts as absent: the delta can be learned again.

    Parameters
    ----------
    folder : Path, optional
        By default in the user's cache folder.
    limit : int
        Size in bytes above which the files that were not used for longest are removed.
    """

    def __init__(self, folder: Path | None = None, limit: int = _CACHE_LIMIT) -> None:
        self._files = CacheFolder("weights", _SUFFIX, limit, folder)

    def network(
        self, weights: str, original: Network
    ) -> tuple[Network, Mapping[str, Tensor]] | None:
        """Return the network of a fingerprint, rebuilt from the original, and its extra tensors.

        None if it is not in the cache, or does not fit the original.
        """
        try:
            with safe_open(self._files.file(weights), framework="pt") as file:
                header = json.loads((file.metadata() or {})[_HEADER_KEY])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            exponents = {str(name): int(power) for name, power in header["exponents"].items()}
            if any(abs(power) > 1000 for power in exponents.values()):
                return None
            extra = {
                name.removeprefix(_EXTRA): tensors.pop(name)
                for name in list(tensors)
                if name.startswith(_EXTRA)
            }
            delta = Delta(tensors, exponents, extra)
            if not delta.fits(original):
                return None
            network = delta.applied(original)
            self._files.used(weights)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
            return None
        # Otherwise a damaged or exchanged file would silently change the map.
        return (network, delta.extra) if delta.fingerprint(network) == weights else None

    def put(self, weights: str, delta: Delta) -> bool:
        """Write a delta; return whether it is in the cache now."""
        if self._files.file(weights).exists():
            self._files.used(weights)
            return True
        header = {_HEADER_KEY: json.dumps({"exponents": dict(delta.exponents)})}
        extra = {_EXTRA + name: tensor for name, tensor in delta.extra.items()}
        tensors = {name: t.contiguous() for name, t in {**delta.tensors, **extra}.items()}
        try:
            return self._files.put(
                weights,
                delta.nbytes,
                lambda temporary: save_file(tensors, temporary, metadata=header),
            )
        except SafetensorError:
            return False
