"""How the logits of tiles are composed of the outputs of one or more networks.

A recipe's `composer` returns an `AnswerComposer`, the only part of a run that the renderer uses. To
add another composition, write a class with `plain`, `fallback` and `compose` and return it there.
What it needs besides networks (features of clicks, coefficients of a correction) are its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from napari_disca.core.tiling import Window
from napari_disca.inference.feature_similarity import FeatureSimilarity
from napari_disca.networks import Features, Network, encoder_fingerprint

#: Change of a logit by clicks from which on the guided logits alone are used.
_FULL_EFFECT = 0.5

#: ``decode(network, features, box)``: tensors ``(B, n, h, w)`` of the window `box`, computed from
#: the features of some tiles; the first are the logits.
Decode: TypeAlias = Callable[[Network, Features, Window], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A network, and the fingerprints under which its outputs are cached.

    Attributes
    ----------
    network : Network
        On the CPU. It is not changed: copies of it are moved to the device.
    name : str
        Fingerprint of everything its outputs depend on, decoding included; empty: outputs for
        tiles with clicks are not cached.
    encoder : str
        Fingerprint of its encoder; empty: features of tiles without clicks are not cached. Cached
        features are rounded to half precision, also when they are used for the first time.
    weights : str
        Fingerprint of all its weights; empty: condensed features of tiles without clicks
        (`Network.condensed`) are not cached.
    """

    network: Network
    name: str = ""
    encoder: str = ""
    weights: str = ""


def source_of(network: Network, name: str = "") -> Source:
    """Return the source of a pretrained network; features of a frozen encoder are cached."""
    frozen = isinstance(network, Network) and network.encoder_is_frozen
    encoder = encoder_fingerprint(network) if frozen else ""
    return Source(network, name, encoder, name if frozen else "")


class Answer(NamedTuple):
    """The logits of some tiles, and the pixels at which they count.

    Attributes
    ----------
    logits : (B, classes, h, w) tensor
    counts : (B, 1, h, w) tensor of bool, or None
        Pixels at which the logits count; the others get the labels of `AnswerComposer.fallback`.
        None: all pixels.
    """

    logits: Tensor
    counts: Tensor | None = None


class TileBatch(Protocol):
    """Tiles that go through networks as one batch; all of them have clicks, or none has."""

    @property
    def clicked(self) -> bool:
        """Whether the tiles have clicks."""

    def run(
        self, source: Source, *, guided: bool, decode: Decode = ..., condensed: bool = ...
    ) -> tuple[Tensor, ...]:
        """Return a network's outputs for the tiles; they may come from a cache.

        Parameters
        ----------
        source : Source
        guided : bool
            Whether the network reads the clicks.
        decode : callable, optional
            Computes the outputs from features; by default the logits.
        condensed : bool
            Whether `Network.condensed` features are enough for `decode`, as they are for logits.

        Returns
        -------
        tuple of (B, n, h, w) tensor
            Of `decode`, on the device.
        """

    def corrected_classes(self, source: Source, plain: Tensor) -> Tensor:
        """Return the classes that the clicks of each tile correct the map to.

        A click confirms the map if the network predicts its class without any click; otherwise
        it corrects the map.

        Parameters
        ----------
        source : Source
        plain : (B, classes, h, w) tensor
            The network's logits without clicks.

        Returns
        -------
        (B, classes) tensor of bool
        """


class AnswerComposer(Protocol):
    """Composes the logits that a run gives for tiles."""

    @property
    def plain(self) -> Source:
        """The network that predicts tiles without clicks."""

    @property
    def fallback(self) -> Source | None:
        """The network whose labels are used where `Answer.counts` is false; None: nowhere."""

    def compose(self, tiles: TileBatch) -> Answer:
        """Return the logits of some tiles."""


def logits_of(network: Network, features: Features, box: Window) -> tuple[Tensor, ...]:
    """Return only the logits of features: the default `Decode`."""
    return (network.decode_window(features, box),)


#: `guided_logits` caps other classes this far below the class predicted without clicks.
_CAP = 0.5


def guided_logits(tiles: TileBatch, source: Source) -> Tensor:
    """Return a network's logits for tiles with clicks.

    If the architecture sets `Network.clicks_only_correct`, clicks of a tile change labels only to
    classes that one of them corrects the map to. A click that confirms the map then changes
    nothing, even where the network's logits react to it.
    """
    guided = tiles.run(source, guided=True)[0]
    if not (isinstance(source.network, Network) and source.network.clicks_only_correct):
        return guided
    plain = tiles.run(source, guided=False)[0]
    corrected = tiles.corrected_classes(source, plain)
    first = plain.argmax(dim=1, keepdim=True)
    may_win = corrected[:, :, None, None].expand_as(guided).clone().scatter_(1, first, True)
    most = guided.gather(1, first) - _CAP
    limited = torch.where(may_win, guided, torch.minimum(guided, most))
    none = ~corrected.any(dim=1)[:, None, None, None]
    return torch.where(none, plain, limited)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkAnswer:
    """Composes the logits of one network that reads the image and the clicks."""

    plain: Source
    fallback: Source | None = None

    def compose(self, tiles: TileBatch) -> Answer:
        """See `AnswerComposer`."""
        if tiles.clicked:
            return Answer(guided_logits(tiles, self.plain))
        return Answer(tiles.run(self.plain, guided=False)[0])


@dataclass(frozen=True, slots=True, eq=False)
class ClicksByPretrained:
    """Composes an adapted network, which does not read clicks, with the pretrained one, which does.

    A network that has learned from the clicks must not read them again. In tiles with clicks the
    logits are those of the pretrained network where the clicks change them, those of the adapted
    network elsewhere, and a linear mixture in between.

    Attributes
    ----------
    plain : Source
        The adapted network.
    pretrained : Source
    similarity : FeatureSimilarity or None
        Decides for which pixels the adapted network counts: those that look like the clicks it
        has learned from. The others stay as the pretrained network predicts them. None: all.
    """

    plain: Source
    pretrained: Source
    similarity: FeatureSimilarity | None = None

    @property
    def fallback(self) -> Source | None:
        """See `AnswerComposer`."""
        return None if self.similarity is None else self.pretrained

    def compose(self, tiles: TileBatch) -> Answer:
        """See `AnswerComposer`.

        Where the adapted network does not count, the guided logits are used unmixed: a mixture
        with the pretrained network's logits without clicks would undo part of a click's effect.
        """
        if not tiles.clicked:
            return Answer(*tiles.run(self.plain, guided=False, decode=self._decode))
        guided = guided_logits(tiles, self.pretrained).float()
        unguided = tiles.run(self.pretrained, guided=False)[0].float()
        effect = (guided - unguided).abs().amax(dim=1, keepdim=True)
        share = (effect / _FULL_EFFECT).clamp(max=1.0)
        logits, *counts = tiles.run(self.plain, guided=False, decode=self._decode)
        joined = torch.lerp(logits.float(), guided, share)
        return Answer(torch.where(counts[0], joined, guided) if counts else joined)

    def _decode(self, network: Network, features: Features, box: Window) -> tuple[Tensor, ...]:
        if self.similarity is None:
            return logits_of(network, features, box)
        logits, closest = network.decode_described(features, box, self.similarity.closest)
        return logits, self.similarity.counts(logits, closest)
