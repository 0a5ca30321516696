"""How the answer for a tile is composed: which networks are asked, and what is made of it.

An `AnswerComposer` is made from a run of a recipe, and is all that the renderer knows of it. To add
another kind of answer, write a class with `plain`, `fallback` and `compose`, and let the recipe's
`composer` return it: whatever it needs besides networks (features of clicks, points and
coefficients of a correction) are its own fields.
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

#: A click is felt in full where it changes a logit by this much.
_FELT = 0.5

#: ``decode(network, features, box)``: what is made of the features of some tiles, ``(B, n, h, w)``
#: tensors of the window `box`, logits first.
Decode: TypeAlias = Callable[[Network, Features, Window], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A network that is asked, on the CPU.

    Attributes
    ----------
    network : Network
        Left as it is: copies are made ready for the device.
    name : str
        Fingerprint of all that its answers depend on, the decoding too; empty: nothing that it
        says is kept.
    encoder : str
        Fingerprint of its encoder, where features of tiles without clicks shall be kept. They go
        through half precision then, found or not.
    weights : str
        Fingerprint of all its weights, where condensed features of tiles without clicks
        (`Network.condensed`) shall be kept.
    """

    network: Network
    name: str = ""
    encoder: str = ""
    weights: str = ""


def source_of(network: Network, name: str = "") -> Source:
    """Source of a network as it came; features of a frozen encoder are kept."""
    frozen = isinstance(network, Network) and network.encoder_is_frozen
    encoder = encoder_fingerprint(network) if frozen else ""
    return Source(network, name, encoder, name if frozen else "")


class Answer(NamedTuple):
    """What is said of some tiles.

    Attributes
    ----------
    logits : (B, classes, h, w) tensor
    counts : (B, 1, h, w) tensor of bool, or None
        Where it counts; elsewhere the labels are those of `AnswerComposer.fallback`. None:
        everywhere.
    """

    logits: Tensor
    counts: Tensor | None = None


class TileBatch(Protocol):
    """Some tiles that go through networks together; all of them have clicks, or none has."""

    @property
    def clicked(self) -> bool:
        """Whether they have clicks."""

    def ask(
        self, source: Source, *, guided: bool, decode: Decode = ..., condensed: bool = ...
    ) -> tuple[Tensor, ...]:
        """What a network says; a question that was asked before may be answered from memory.

        Parameters
        ----------
        source : Source
        guided : bool
            Whether it sees the clicks.
        decode : callable, optional
            What to make of its features; its logits by default.
        condensed : bool
            Whether `decode` does with `Network.condensed`, as logits do.
        """

    def corrected_classes(self, source: Source, plain: Tensor) -> Tensor:
        """Which classes the clicks of each tile correct the map to.

        A click that has the class that the network gives its pixel without any click confirms
        the map; every other one corrects it.

        Parameters
        ----------
        source : Source
        plain : (B, classes, h, w) tensor
            Its logits without clicks.

        Returns
        -------
        (B, classes) tensor of bool
        """


class AnswerComposer(Protocol):
    """How the answer of a run is composed for some tiles."""

    @property
    def plain(self) -> Source:
        """The network that tiles without clicks go through."""

    @property
    def fallback(self) -> Source | None:
        """Whose labels stand where `Answer.counts` is false; None: it counts everywhere."""

    def compose(self, tiles: TileBatch) -> Answer:
        """Answer for some tiles."""


def logits_of(network: Network, features: Features, box: Window) -> tuple[Tensor, ...]:
    """Logits alone: the usual `Decode`."""
    return (network.decode_window(features, box),)


#: How far below the network's first choice a class stays that no click corrects the map to.
_BELOW = 0.5


def guided_logits(tiles: TileBatch, source: Source) -> Tensor:
    """What a network says of tiles with clicks.

    Where its architecture says so (`Network.clicks_only_correct`), clicks change the map to no
    other classes than those that somebody clicked where the map was wrong. So a click that confirms
    the map changes nothing, however far it would be felt.
    """
    guided = tiles.ask(source, guided=True)[0]
    if not (isinstance(source.network, Network) and source.network.clicks_only_correct):
        return guided
    plain = tiles.ask(source, guided=False)[0]
    corrected = tiles.corrected_classes(source, plain)
    first = plain.argmax(dim=1, keepdim=True)
    may_win = corrected[:, :, None, None].expand_as(guided).clone().scatter_(1, first, True)
    most = guided.gather(1, first) - _BELOW
    limited = torch.where(may_win, guided, torch.minimum(guided, most))
    none = ~corrected.any(dim=1)[:, None, None, None]
    return torch.where(none, plain, limited)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkAnswer:
    """One network reads the image and the clicks."""

    plain: Source
    fallback: Source | None = None

    def compose(self, tiles: TileBatch) -> Answer:
        """See `AnswerComposer`."""
        if tiles.clicked:
            return Answer(guided_logits(tiles, self.plain))
        return Answer(tiles.ask(self.plain, guided=False)[0])


@dataclass(frozen=True, slots=True, eq=False)
class ClicksByPretrained:
    """What was learned corrects the map; the pretrained network reads the clicks.

    A network that has learned from the clicks must not read them again. With clicks the logits are
    those of the pretrained network as far as the clicks change them, and beyond those of the
    adapted one, which sees none.

    Attributes
    ----------
    plain : Source
        The adapted network.
    pretrained : Source
    similarity : FeatureSimilarity or None
        What was learned counts only for pixels that look like the clicks it was learned from; the
        others stay as the pretrained network has them.
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

        On the rim of a click's reach, where it is felt in part, a mixture with the pretrained
        network's map without clicks would take back half of what the click did. So where what was
        learned does not count, it is the guided logits alone.
        """
        if not tiles.clicked:
            return Answer(*tiles.ask(self.plain, guided=False, decode=self._decode))
        guided = guided_logits(tiles, self.pretrained).float()
        unguided = tiles.ask(self.pretrained, guided=False)[0].float()
        felt = (guided - unguided).abs().amax(dim=1, keepdim=True)
        fully = (felt / _FELT).clamp(max=1.0)
        logits, *counts = tiles.ask(self.plain, guided=False, decode=self._decode)
        joined = torch.lerp(logits.float(), guided, fully)
        return Answer(torch.where(counts[0], joined, guided) if counts else joined)

    def _decode(self, network: Network, features: Features, box: Window) -> tuple[Tensor, ...]:
        if self.similarity is None:
            return logits_of(network, features, box)
        logits, closest = network.decode_described(features, box, self.similarity.closest)
        return logits, self.similarity.counts(logits, closest)
