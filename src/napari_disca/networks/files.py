"""Files of networks: a network is one safetensors file with its card in the header.

TorchScript files are read too, after the user's consent; see `napari_disca.networks.torchscript`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from napari_disca.core.errors import CardError, ExportError, one_line
from napari_disca.networks.card import Card
from napari_disca.networks.network import Network
from napari_disca.networks.table import build_network
from napari_disca.networks.torchscript import (
    TorchScript,
    is_torchscript,
    load_torchscript,
    read_sidecar_card,
    save_torchscript,
)
from napari_disca.storage.atomic import replacing

_HEADER_KEY = "napari-disca card"
_PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".bin", ".ts", ".torchscript")


def bundled_weights() -> dict[str, Path]:
    """Return the networks that come with the package: name -> file, sorted by name.

    In a wheel they lie inside the package, in an editable install beside ``src``.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "weights", package.parents[1] / "weights"):
        files = sorted(folder.glob("*.safetensors"))
        if files:
            return {file.stem: file for file in files}
    return {}


def _resolved(name_or_file: str | os.PathLike[str]) -> Path:
    bundled = bundled_weights()
    if str(name_or_file) in bundled:
        return bundled[str(name_or_file)]
    path = Path(name_or_file)
    if not path.is_file():
        raise CardError(
            f"{path} is neither a file nor a bundled network; "
            f"bundled are: {', '.join(bundled) or 'none'}"
        )
    if path.suffix.lower() in _PICKLES and not is_torchscript(path):
        raise CardError(
            f"{path.name} is a pickle, which can run code when opened; export it to safetensors "
            "with a card (README, 'Bring your own network')"
        )
    return path


def needs_consent(name_or_file: str | os.PathLike[str]) -> bool:
    """Whether a network is a TorchScript file, a program that runs only if the user agrees."""
    return is_torchscript(Path(name_or_file))


def read_card(name_or_file: str | os.PathLike[str]) -> Card:
    """Return the card of a network, without loading its tensors.

    Parameters
    ----------
    name_or_file : str or path
        Name of a bundled network, a ``.safetensors`` file, or a TorchScript file, which is not
        opened: its card is in a file beside it.

    Raises
    ------
    CardError
        If there is no such network or the file has no valid card.
    """
    path = _resolved(name_or_file)
    if is_torchscript(path):
        return read_sidecar_card(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CardError(
            f"{path.name} is not a readable safetensors file: {one_line(error)}"
        ) from error
    if _HEADER_KEY not in header:
        raise CardError(
            f"{path.name} has no card in its header; write one with "
            "napari_disca.networks.save_network (README, 'Bring your own network')"
        )
    return Card.from_json(header[_HEADER_KEY])


def load_network(
    name_or_file: str | os.PathLike[str], *, allow_torchscript: bool = False
) -> Network:
    """Return a network of a file in float32, in evaluation mode.

    Parameters
    ----------
    name_or_file : str or path
        Name of a bundled network, or a ``.safetensors`` or TorchScript file.
    allow_torchscript : bool
        Whether the user agrees that a TorchScript file, which is a program, is run.

    Raises
    ------
    CardError
        If the file's tensors do not fit its card, or are not finite; or if it is TorchScript and
        the user has not agreed.
    """
    path = _resolved(name_or_file)
    card = read_card(path)
    if is_torchscript(path):
        if not allow_torchscript:
            raise CardError(
                f"{path.name} is TorchScript, a program that can also read and write files; if you "
                "trust who made it, say so (--allow-torchscript, or Load... in the panel)"
            )
        return load_torchscript(path, card)
    network = build_network(card)
    expected = network.state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            # Shapes come from the header, before anything large is read.
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        _check_shapes(path, card, shapes, {n: tuple(t.shape) for n, t in expected.items()})
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CardError(
            f"{path.name} is not a readable safetensors file: {one_line(error)}"
        ) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise CardError(
                f"{path.name}: tensor {name} holds {tensor.dtype}, "
                f"its card asks for {expected[name].dtype}"
            )
        # In the type that is used: a double may be too large for single precision.
        if not torch.isfinite(tensor.to(expected[name].dtype)).all():
            raise CardError(f"{path.name}: tensor {name} has values that are not finite")
    network.load_state_dict(tensors)
    return network


def _check_shapes(
    path: Path,
    card: Card,
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
) -> None:
    for what, names in (
        ("lacks", expected.keys() - found.keys()),
        ("has unknown", found.keys() - expected.keys()),
    ):
        if names:
            first = ", ".join(name[:80] for name in sorted(names)[:3])
            raise CardError(
                f"{path.name} {what} tensors for a {card.architecture!r} of its card: "
                f"{first}{' ...' if len(names) > 3 else ''}"
            )
    for name, shape in found.items():
        if shape != expected[name]:
            raise CardError(
                f"{path.name}: tensor {name} is {shape}, its card asks for {expected[name]}"
            )


def save_network(network: Network, path: str | os.PathLike[str], *, half: bool = True) -> Path:
    """Write a network and its card to a ``.safetensors`` file.

    A TorchScript network, which is more than its tensors, becomes a TorchScript file with its
    card in a second file. A file gets its name only when it is complete.

    Parameters
    ----------
    network : Network
    path : str or path
    half : bool
        Store floating-point tensors in half precision (not those of TorchScript).

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    path = Path(path)
    if isinstance(network, TorchScript):
        return save_torchscript(network, path)
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in network.state_dict().items()
    }
    write_tensors(tensors, path, {_HEADER_KEY: network.card.to_json()})
    return path


def write_tensors(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file; it gets its name only when it is complete.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        try:
            save_file(dict(tensors), temporary, metadata=dict(metadata))
        except SafetensorError as error:
            # An error of the operating system, which safetensors wraps.
            raise ExportError(f"cannot write {path}: {one_line(error)}") from error


def fingerprint(network: Network) -> str:
    """Return a short hash of a network's card and weights, equal for equal networks."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(json.dumps(json.loads(network.card.to_json()), sort_keys=True).encode())
    if isinstance(network, TorchScript):
        digest.update(network.digest.encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
