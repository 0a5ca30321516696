"""TorchScript files as networks, only after the user's consent.

A TorchScript file is a program. torch runs it in an interpreter of its own, which cannot run Python
but has operators that read and write files. So a file is loaded only with
``allow_torchscript=True``, which the command line's flag and the panel's question set. Its card is
a file in the same folder, ``NAME.card.json``.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_disca.core.errors import CardError, ExportError, one_line, out_of_memory
from napari_disca.core.tiling import Window
from napari_disca.networks.card import Card
from napari_disca.networks.network import Features, Network
from napari_disca.networks.torchscript_trial import checked_options, find_interface, run
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json

#: Architecture in the card of a TorchScript file.
ARCHITECTURE = "torchscript"
SUFFIXES = (".pt", ".pth", ".ts", ".torchscript")
_LARGEST_CARD = 1 << 20
#: Begin of torch's warnings, which recommend other formats; but users have these files. Their
#: category is another one since torch 2.14.
_DEPRECATED = r"`torch\.jit"


class TorchScript(Network):
    """A scripted or traced module with the interface of a network.

    The module gets standardised pixels and guidance, and returns logits; encoder and decoder cannot
    be called separately.

    Parameters
    ----------
    card : Card
        Its options may set what a trial call would find out otherwise: ``inputs``, ``key``,
        ``answer``, ``positive``, ``size``, ``multiple``; see `torchscript_trial.Interface`.
    module : torch.jit.ScriptModule
        It is called with noise at once, to find its interface.
    digest : str
        Hash of the file, for fingerprints: the program is not in the tensors.

    Raises
    ------
    CardError
        If an option is invalid, or no way to call the program gives logits.
    """

    def __init__(self, card: Card, module: torch.jit.ScriptModule, digest: str) -> None:
        super().__init__(card)
        options = checked_options(card.options, card.name)
        self.module = module
        self.digest = digest
        with self._named():
            self.interface = find_interface(module, len(card.bands), len(card.classes), options)
        self.multiple = self.interface.multiple

    def encode(self, image: Tensor, guidance: Tensor) -> Features:
        """Raise a `CardError`: it is not known where the encoder of a TorchScript file ends."""
        raise CardError(f"{self.card.name} is TorchScript, which has no encoder of its own")

    def decode(self, features: Features) -> Tensor:
        """Raise a `CardError`; see `encode`."""
        raise CardError(f"{self.card.name} is TorchScript, which has no decoder of its own")

    def features(self, image: Tensor, guidance: Tensor | None, keep: Window) -> Features:
        """Return the logits of the wanted part, the only features that are known."""
        if guidance is None:
            batch, _, height, width = image.shape
            guidance = image.new_zeros(batch, len(self.card.classes), height, width)
        return (self(image, guidance)[(..., *keep.slices)],)

    def decode_window(self, features: Features, keep: Window) -> Tensor:
        """Return the logits that `features` has computed."""
        return features[0]

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        """Return logits of a batch of any height and width; see `Network.forward`.

        Raises
        ------
        CardError
            If the program fails, or returns something else.
        """
        height, width = image.shape[-2:]
        pixels = (image - self.mean) / self.std
        with self._named():
            if self.interface.size is not None:
                return self._in_pieces(pixels, guidance, self.interface.size)
            logits = self._logits(self.padded(pixels), self.padded(guidance))
        return logits[..., :height, :width]

    def _logits(self, pixels: Tensor, clicks: Tensor) -> Tensor:
        if self.interface.single and len(pixels) > 1:
            each = range(len(pixels))
            return torch.cat([self._logits(pixels[k : k + 1], clicks[k : k + 1]) for k in each])
        answer = run(lambda: self.interface.call(self.module, pixels, clicks))
        height, width = pixels.shape[-2:]
        logits = self.interface.logits(answer, len(self.card.classes), (height, width))
        if torch.isnan(logits).any():
            raise CardError("answers with NaN")
        if len(logits) != len(pixels):
            raise CardError(f"answers with {len(logits)} images for {len(pixels)}")
        return logits

    def _in_pieces(self, pixels: Tensor, clicks: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits of a program that takes one input size only, from overlapping pieces."""
        height, width = pixels.shape[-2:]
        sides = (max(height, size[0]), max(width, size[1]))
        pixels, clicks = (_filled(x, sides) for x in (pixels, clicks))
        logits = pixels.new_zeros(len(pixels), len(self.card.classes), *sides)
        for top, (keep_top, keep_bottom) in _pieces(sides[0], size[0]):
            for left, (keep_left, keep_right) in _pieces(sides[1], size[1]):
                window = (..., slice(top, top + size[0]), slice(left, left + size[1]))
                rows, cols = slice(keep_top, keep_bottom), slice(keep_left, keep_right)
                found = self._logits(pixels[window], clicks[window])
                part = found[..., keep_top - top : keep_bottom - top, keep_left - left :]
                logits[..., rows, cols] = part[..., : keep_right - keep_left].to(logits.dtype)
        return logits[..., :height, :width]

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Add the network's name to errors of the body."""
        try:
            yield
        except CardError as error:
            bands, classes = len(self.card.bands), len(self.card.classes)
            raise CardError(
                f"the TorchScript network {self.card.name} {error}; its card promises logits of "
                f"{classes} classes from {bands} bands"
            ) from error


def _filled(x: Tensor, sides: tuple[int, int]) -> Tensor:
    """Pad below and right to a size with zeros (the mean; no clicks)."""
    bottom, right = sides[0] - x.shape[-2], sides[1] - x.shape[-1]
    return nn.functional.pad(x, (0, right, 0, bottom)) if bottom or right else x


def _pieces(length: int, size: int) -> list[tuple[int, tuple[int, int]]]:
    """Starts of overlapping pieces that cover a length, and the part of each that is kept.

    Pieces overlap by a quarter, or more at the end, and are kept up to the middle of the overlap.
    """
    step = max(1, size - size // 4)
    starts = [*range(0, length - size, step), length - size]
    cuts = [0, *((a + size + b) // 2 for a, b in pairwise(starts)), length]
    return list(zip(starts, pairwise(cuts), strict=True))


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive; only the names in it are read.

    Other ``.pt`` files are pickles, which contain no program.
    """
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
    return any(name.endswith("/constants.pkl") for name in names) and any(
        "/code/" in name for name in names
    )


def read_sidecar_card(path: Path) -> Card:
    """Return the card of a TorchScript file, from ``NAME.card.json`` in its folder.

    Raises
    ------
    CardError
        If there is none, or it is not the card of a TorchScript file.
    """
    beside = path.with_suffix(".card.json")
    if not beside.is_file():
        raise CardError(
            f"{path.name} has no card beside it; write {beside.name} "
            "(README, 'Bring your own network')"
        )
    try:
        load_json(beside, most_bytes=_LARGEST_CARD)
        card = Card.from_json(beside.read_text("utf-8-sig"))
    except (OSError, JsonError) as error:
        raise CardError(f"{beside.name} {error}") from error
    if card.architecture != ARCHITECTURE:
        raise CardError(
            f"{beside.name} names the architecture {card.architecture!r}; of a TorchScript file it "
            f"is {ARCHITECTURE!r}"
        )
    return card


def load_torchscript(path: Path, card: Card) -> TorchScript:
    """Return a TorchScript network, called once to find its interface. This runs its program.

    Raises
    ------
    CardError
        If it does not load, does not fit its card, or has weights that are not finite.
    """
    try:
        digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _DEPRECATED)
            module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        if out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CardError(f"{path.name} is not a readable TorchScript file: {reason}") from error
    module = module.float().eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CardError(f"{path.name}: tensor {name} has values that are not finite")
    # Otherwise a deepcopy's weights would be results in autograd's graph, which cannot learn.
    return TorchScript(card, module, digest).eval().requires_grad_(False)


def save_torchscript(network: TorchScript, path: Path) -> Path:
    """Write a TorchScript network with its present weights, and its card in the same folder.

    Parameters
    ----------
    network : TorchScript
    path : Path
        Its name ends with ``.pt``, ``.pth``, ``.ts`` or ``.torchscript``.

    Returns
    -------
    Path
        `path`, as it was given.

    Raises
    ------
    ExportError
        If it cannot be written, or its name ends otherwise.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(
            f"{network.card.name} is TorchScript, whose program is not in its weights: {path.name} "
            f"should end with {', '.join(SUFFIXES)}"
        )
    with replacing(path.with_suffix(".card.json")) as temporary_card, replacing(path) as temporary:
        temporary_card.write_text(network.card.to_json(), encoding="utf-8")
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", _DEPRECATED)
                torch.jit.save(network.module, temporary)
        except RuntimeError as error:
            raise ExportError(f"cannot write {path}: {one_line(error)}") from error
    return path
