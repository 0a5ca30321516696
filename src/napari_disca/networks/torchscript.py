"""TorchScript files as networks: forward only, and only after the user's consent.

A TorchScript file is a program. torch runs it in an interpreter of its own that knows no Python,
but does know operators that read and write files. So nothing here opens one by itself: whoever
loads it says ``allow_torchscript=True``, which the command line's flag and the panel's question
stand for. What the network is for stands beside it, in ``NAME.card.json``.
"""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from napari_disca.core.errors import CardError, brief, out_of_memory
from napari_disca.core.tiling import Window
from napari_disca.networks.card import Card
from napari_disca.networks.network import Features, Network
from napari_disca.storage.jsonfile import JsonError, load_json

#: What a card of a TorchScript file names as its architecture.
ARCHITECTURE = "torchscript"
SUFFIXES = (".pt", ".pth", ".ts", ".torchscript")
_LARGEST_CARD = 1 << 20
_TRIAL = 64


class TorchScript(Network):
    """A scripted or traced module behind the interface of a network.

    It is called with standardised pixels and guidance, both padded to a multiple of 32 pixels, and
    answers with logits of the same height and width. It has no encoder and decoder to part.

    Parameters
    ----------
    card : Card
    module : torch.jit.ScriptModule
    digest : str
        Of the file: its program is a part of what the network is.
    inputs : {"two", "stacked", "image"}
        ``"two"``: ``module(image, guidance)``; ``"stacked"``: ``module(cat([image, guidance]))``;
        ``"image"``: ``module(image)``, a network that cannot see clicks.
    """

    def __init__(
        self,
        card: Card,
        module: torch.jit.ScriptModule,
        digest: str,
        inputs: Literal["two", "stacked", "image"] = "two",
    ) -> None:
        super().__init__(card)
        if inputs not in ("two", "stacked", "image"):
            raise CardError(f"inputs = {inputs!r} is unknown; use 'two', 'stacked' or 'image'")
        self.module = module
        self.digest = digest
        self._inputs = inputs

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
        pixels, clicks = self._padded((image - self.mean) / self.std), self._padded(guidance)
        try:
            # The optimiser would change a tile's last digits with the number of tiles before it.
            with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                if self._inputs == "two":
                    logits = self.module(pixels, clicks)
                elif self._inputs == "stacked":
                    logits = self.module(torch.cat([pixels, clicks.to(pixels.dtype)], dim=1))
                else:
                    logits = self.module(pixels)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            raise CardError(
                f"the TorchScript network {self.card.name} fails: {reason.strip()[:200]}"
            ) from error
        expected = (len(image), len(self.card.classes), *pixels.shape[-2:])
        if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
            what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise CardError(
                f"the TorchScript network {self.card.name} answers {what} to {len(self.card.bands)}"
                f" bands, its card asks for {expected}"
            )
        return logits[..., :height, :width]


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
    try:
        network = TorchScript(card, module, digest, **dict(card.options))
    except TypeError as error:
        raise CardError(f"card {card.name!r} has wrong options: {brief(error)}") from error
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise CardError(f"{path.name}: tensor {name} has values that are not finite")
    # A copy of a scripted weight that could learn would be a result, not a weight.
    network.eval().requires_grad_(False)
    with torch.no_grad():
        sides = (_TRIAL, _TRIAL)
        network(torch.zeros(1, len(card.bands), *sides), torch.zeros(1, len(card.classes), *sides))
    return network
