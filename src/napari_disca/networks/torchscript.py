"""TorchScript files as networks, only after the user's consent.

A TorchScript file is a program. torch runs it in an interpreter of its own that knows no Python,
but does know operators that read and write files. So nothing here opens one by itself: whoever
loads it says ``allow_torchscript=True``, which the command line's flag and the panel's question
stand for. What the network is for stands beside it, in ``NAME.card.json``.
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

#: What a card of a TorchScript file names as its architecture.
ARCHITECTURE = "torchscript"
SUFFIXES = (".pt", ".pth", ".ts", ".torchscript")
_LARGEST_CARD = 1 << 20


class TorchScript(Network):
    """A scripted or traced module behind the interface of a network.

    It is called with standardised pixels and guidance, and answers with logits. It has no encoder
    and decoder to part.

    Parameters
    ----------
    card : Card
        Its options say of the program what a trial need not find out: ``inputs``, ``key``,
        ``answer``, ``positive``, ``size``, ``multiple``; see `torchscript_trial.Interface`.
    module : torch.jit.ScriptModule
        Tried as soon as it is given.
    digest : str
        Of the file: its program is a part of what the network is.

    Raises
    ------
    CardError
        If an option is impossible, or there is no way to call the program that gives logits.
    """

    def __init__(self, card: Card, module: torch.jit.ScriptModule, digest: str) -> None:
        super().__init__(card)
        said = checked_options(card.options, card.name)
        self.module = module
        self.digest = digest
        with self._named():
            self.interface = find_interface(module, len(card.bands), len(card.classes), said)
        self.multiple = self.interface.multiple

    def encode(self, image: Tensor, guidance: Tensor) -> Features:
        """Refuse: it is not known where the encoder of a TorchScript file ends."""
        raise CardError(f"{self.card.name} is TorchScript, which has no encoder of its own")

    def decode(self, features: Features) -> Tensor:
        """Refuse: see `encode`."""
        raise CardError(f"{self.card.name} is TorchScript, which has no decoder of its own")

    def features(self, image: Tensor, guidance: Tensor | None, keep: Window) -> Features:
        """Logits of the wanted part: there is nothing to stop at on the way to them."""
        if guidance is None:
            batch, _, height, width = image.shape
            guidance = image.new_zeros(batch, len(self.card.classes), height, width)
        return (self(image, guidance)[(..., *keep.slices)],)

    def decode_window(self, features: Features, keep: Window) -> Tensor:
        """Return what `features` gave."""
        return features[0]

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        """Logits of a batch of any height and width; see `Network.forward`.

        Raises
        ------
        CardError
            If the program fails, or answers with something else.
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
            raise CardError("answers numbers that are none (NaN)")
        if len(logits) != len(pixels):
            raise CardError(f"answers {len(logits)} images to {len(pixels)}")
        return logits

    def _in_pieces(self, pixels: Tensor, clicks: Tensor, size: tuple[int, int]) -> Tensor:
        """Logits of a program that takes one size only, from pieces that overlap."""
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
        """Say of which network an error is."""
        try:
            yield
        except CardError as error:
            bands, classes = len(self.card.bands), len(self.card.classes)
            raise CardError(
                f"the TorchScript network {self.card.name} {error}; its card promises logits of "
                f"{classes} classes from {bands} bands"
            ) from error


def _filled(x: Tensor, sides: tuple[int, int]) -> Tensor:
    """Zeros (the mean; no clicks) below and right, up to a size."""
    bottom, right = sides[0] - x.shape[-2], sides[1] - x.shape[-1]
    return nn.functional.pad(x, (0, right, 0, bottom)) if bottom or right else x


def _pieces(length: int, size: int) -> list[tuple[int, tuple[int, int]]]:
    """Starts of pieces that cover a length, each with the part of it that is kept.

    A quarter of a piece overlaps the next one, which is kept up to the middle of that.
    """
    step = max(1, size - size // 4)
    starts = [*range(0, length - size, step), length - size]
    cuts = [0, *((a + size + b) // 2 for a, b in pairwise(starts)), length]
    return list(zip(starts, pairwise(cuts), strict=True))


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive; it is looked at, not opened.

    A pickle, which any other ``.pt`` is, has no program in it.
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


def card_beside(path: Path) -> Card:
    """Card of a TorchScript file, from ``NAME.card.json`` in its folder.

    Raises
    ------
    CardError
        If it is not there or not the card of such a file.
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
    """Load a TorchScript file and try it once. This runs what is in it.

    Raises
    ------
    CardError
        If it does not load, does not fit its card, or has weights that are not finite.
    """
    try:
        digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
        with warnings.catch_warnings():
            # torch would rather have networks exported another way; these are what users have.
            warnings.simplefilter("ignore", DeprecationWarning)
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
    # A copy of a scripted weight that could learn would be a result, not a weight.
    return TorchScript(card, module, digest).eval().requires_grad_(False)


def save_torchscript(network: TorchScript, path: Path) -> Path:
    """Write a TorchScript network, with what it has learned, and its card beside it.

    Parameters
    ----------
    network : TorchScript
    path : Path
        Ends with ``.pt``, ``.pth``, ``.ts`` or ``.torchscript``.

    Returns
    -------
    Path
        `path`.

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
                warnings.simplefilter("ignore", DeprecationWarning)
                torch.jit.save(network.module, temporary)
        except RuntimeError as error:
            raise ExportError(f"cannot write {path}: {one_line(error)}") from error
    return path
