"""Labels of tiles: what a run's answer becomes, pixel by pixel.

A tile's labels depend on its own pixels, the clicks that reach into it, and the answer's networks,
and on nothing else. So a map that is refreshed where clicks changed equals one made from scratch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray
from torch import nn

from napari_disca.annotations.clicks import Clicks, MergedClick
from napari_disca.core.errors import out_of_memory
from napari_disca.core.events import Note
from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.click_constraint import constrained
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer, source_of
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_batch import Asked, Batch, Tools
from napari_disca.inference.tiles import Pixels, read_pixels, wanted_window
from napari_disca.inference.two_best import TwoBest
from napari_disca.inference.uncertainty import mixed, on_network, share, uncertainty
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.storage.label_pyramid import NO_DATA

T = TypeVar("T")

#: Pixels of the network's grid around a click that follow it if the network does not.
OBEYED_WITHIN = 8
#: Pixels whose class is remembered while one tile is ranked.
_FEW = 256
#: Labels of the fallback network, by tile.
Known = Mapping[int, "Predicted"]


class Predicted(NamedTuple):
    """Labels of a tile: class ids, and how sure they are, if that was asked for."""

    labels: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8] | None = None


class Predictor:
    """Turns tiles into labels with the answer of one run, on one device.

    Where the device's memory is full it goes on with one tile at a time, then on the CPU, and has a
    `Note` to say so.

    Parameters
    ----------
    answer : AnswerComposer or Network
        A network alone reads the image and the clicks.
    inputs : NetworkView
    compute : Compute
    tools : Tools, optional
        What is shared with other predictors of the same image.
    uncertain : bool
        Whether `batch` tells how sure the answer is, too.
    """

    def __init__(
        self,
        answer: AnswerComposer | Network,
        inputs: NetworkView,
        compute: Compute,
        tools: Tools | None = None,
        *,
        uncertain: bool = False,
    ) -> None:
        if isinstance(answer, nn.Module):
            answer = NetworkAnswer(source_of(answer))
        self.answer: AnswerComposer = answer
        self._inputs = inputs
        self._compute = compute
        self._tools = tools or Tools(inputs)
        self._uncertain = uncertain
        self._notes: list[Note] = []

    def notes(self) -> list[Note]:
        """What the user has not been told yet."""
        told, self._notes = self._notes, []
        return told

    def knows(self, tile: Tile, clicks: Clicks) -> bool:
        """Whether a tile can be drawn without its pixels."""
        plain, tools = self.answer.plain, self._tools
        kept = (plain.encoder, tools.features), (plain.weights, tools.condensed)
        return not clicks and any(
            name and cache is not None and (name, tile.index) in cache for name, cache in kept
        )

    def labels(self, tile: Tile, clicks: Clicks) -> tuple[Window, NDArray[np.uint8]]:
        """Class ids of a tile.

        Parameters
        ----------
        tile : Tile
            On the network's grid.
        clicks : Clicks
            Those of `TileClicks.of`.

        Returns
        -------
        Window
            The kept pixels, on the image's grid.
        (height, width) array of uint8
            Class ids; 255 where the image has no data.
        """
        pixels = read_pixels(self._inputs, tile)
        return pixels.window, self.batch([(pixels, clicks)])[0].labels

    def batch(self, asked: Sequence[Asked], known: Known | None = None) -> list[Predicted]:
        """Class ids of some tiles, each as `labels` gives them.

        With them, if it is wanted, the `uncertainty` of each tile's cells; None where nothing is
        valid.

        Parameters
        ----------
        asked : sequence of (Pixels, Clicks)
        known : mapping of int to Predicted, optional
            What the answer's fallback says of tiles without clicks, where that is at hand.
        """
        found = {
            i: Predicted(np.full(pixels.window.shape, NO_DATA, dtype=np.uint8))
            for i, (pixels, _) in enumerate(asked)
        }
        forms: dict[tuple[bool, Window], list[int]] = {}
        for i, (pixels, clicks) in enumerate(asked):
            form = self.form(pixels, clicks)
            if form is not None:
                forms.setdefault(form, []).append(i)
        for (clicked, box), members in forms.items():
            group = [asked[i] for i in members]
            drawn = self._surely(partial(self._drawn, group, box, clicked, known or {}))
            for i, (best, unsure) in zip(members, drawn, strict=True):
                np.copyto(found[i].labels, best, where=asked[i][0].valid)
                found[i] = found[i]._replace(uncertainty=unsure)
        return [found[i] for i in range(len(asked))]

    def form(self, pixels: Pixels, clicks: Clicks) -> tuple[bool, Window] | None:
        """What tiles of one pass have in common: clicks or none, and how they are cut.

        None: the network is not asked, because there is no data.
        """
        if not pixels.valid.any():
            return None
        return bool(clicks), self._wanted(pixels.tile, clicks)

    @torch.inference_mode()
    def _drawn(
        self, asked: Sequence[Asked], box: Window, clicked: bool, known: Known
    ) -> list[Predicted]:
        """Best classes of tiles of one form, as many at once as the device takes."""
        best: list[Predicted] = []
        for start in range(0, len(asked), self._compute.batch):
            part = asked[start : start + self._compute.batch]
            with self._compute.autocast():
                # Features are kept as tiles without clicks want them cut.
                usual = box == self._wanted(part[0][0].tile, Clicks())
                batch = Batch(part, box, clicked, self._compute, self._tools, usual)
                logits, counts = self.answer.compose(batch)
                if clicked:
                    logits = self._obeyed(logits, part, box)
            for i, (pixels, clicks) in enumerate(part):
                unsure = self._unsure(logits[i], pixels, box) if self._uncertain else None
                predicted = Predicted(self._best(logits[i], pixels, box), unsure)
                if counts is not None and not clicked:
                    learned = self._on_image(counts[i], pixels, box)
                    predicted = self._joined(predicted, learned, pixels, known)
                self._clicked(predicted.labels, pixels, clicks)
                best.append(predicted)
        return best

    def _joined(
        self, answer: Predicted, counts: NDArray[np.bool_], pixels: Pixels, known: Known
    ) -> Predicted:
        """Labels of the answer where it counts, of its fallback elsewhere."""
        other = known.get(pixels.tile.index)
        if other is None:
            assert self.answer.fallback is not None, "an answer that does not count everywhere"
            fallback = NetworkAnswer(self.answer.fallback)
            predictor = Predictor(
                fallback, self._inputs, self._compute, self._tools, uncertain=self._uncertain
            )
            (other,) = predictor.batch([(pixels, Clicks())])
            self._notes += predictor.notes()
        unsure = answer.uncertainty
        if unsure is not None and other.uncertainty is not None:
            keep = pixels.tile.keep
            there = on_network(counts, pixels.window, keep, self._inputs)
            unsure = mixed(unsure, other.uncertainty, share(there, keep))
        return Predicted(np.where(counts, answer.labels, other.labels), unsure)

    def _on_image(self, chosen: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.bool_]:
        """Bring a ``(1, h, w)`` choice of the network's pixels to the image's."""
        if not self._inputs.resampled:
            there: NDArray[np.bool_] = _kept(chosen, pixels.tile, box)[0].cpu().numpy()
            return there
        window = box.placed_in(pixels.tile.read)
        covered = self._inputs.to_image(chosen.float().cpu().numpy(), window, pixels.window)[0]
        resampled: NDArray[np.bool_] = covered >= 0.5
        return resampled

    def _wanted(self, tile: Tile, clicks: Clicks) -> Window:
        """Logits that decide about the kept pixels, counted from the corner of what is read."""
        box = wanted_window(self._inputs, tile)
        # Clicks beyond it that are obeyed inside, too. Seldom, and the more there is the slower.
        beyond = box.grown(self._obeyed_within) & tile.read
        if len(clicks.inside(beyond)) > len(clicks.inside(box)):
            box = beyond
        return box.relative_to(tile.read)

    def _best(self, logits: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.uint8]:
        if not self._inputs.resampled:
            best = _kept(logits, pixels.tile, box).argmax(dim=0)
            classes: NDArray[np.uint8] = best.to(torch.uint8).cpu().numpy()
            return classes
        there = box.placed_in(pixels.tile.read)
        on_image = self._inputs.to_image(logits.float().cpu().numpy(), there, pixels.window)
        classes = on_image.argmax(axis=0).astype(np.uint8)
        return classes

    def _clicked(self, labels: NDArray[np.uint8], pixels: Pixels, clicks: Clicks) -> None:
        """Give the clicked pixels themselves their class, in place.

        Resampling may have mixed them with their neighbours, and of clicks of several classes
        beside each other not all can be likeliest.
        """
        for click in clicks.inside(pixels.tile.keep):
            there = self._inputs.image_window(Window(click.row, click.col, 1, 1))
            labels[(there & pixels.window).relative_to(pixels.window).slices] = click.label
            for own in click.clicks if isinstance(click, MergedClick) else ():
                labels[own.row - pixels.window.top, own.col - pixels.window.left] = own.label

    def _unsure(self, logits: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.uint8]:
        keep = pixels.tile.keep
        valid = on_network(pixels.valid, pixels.window, keep, self._inputs)
        return uncertainty(_kept(logits, pixels.tile, box), keep, valid)

    def _obeyed(self, logits: torch.Tensor, asked: Sequence[Asked], box: Window) -> torch.Tensor:
        """Logits of tiles with clicks, in which these are obeyed."""
        result = logits
        for i, (pixels, clicks) in enumerate(asked):
            of_tile, there = logits[i], box.placed_in(pixels.tile.read)
            changed = constrained(of_tile, clicks, there, self._obeyed_within)
            if changed is not of_tile:
                if result is logits:
                    # In the layout it has: to find the best classes in another takes a fifth of a
                    # click's time.
                    result = logits.clone(memory_format=torch.channels_last)
                result[i] = changed
        return result

    @property
    def _obeyed_within(self) -> int:
        # No farther than a click's own drawing, or tiles would change that it does not touch.
        return min(OBEYED_WITHIN, self._inputs.card.guidance.reach)

    def logits(self, read: Window, clicks: Clicks) -> torch.Tensor:
        """Logits ``(classes, height, width)`` of a window of the network's grid, on the CPU."""
        tile = Tile(0, read, read)
        pixels = Pixels(tile, read, np.ones((1, 1), dtype=np.bool_), self._inputs.read(read))
        return self._surely(partial(self._whole, pixels, clicks))

    @torch.inference_mode()
    def _whole(self, pixels: Pixels, clicks: Clicks) -> torch.Tensor:
        box = Window.whole(pixels.window.shape)
        # Nothing is kept: the window is none of the tiles.
        tools = Tools(self._inputs, self._tools.networks)
        with self._compute.autocast():
            batch = Batch([(pixels, clicks)], box, bool(clicks), self._compute, tools)
            logits, _ = self.answer.compose(batch)
            if clicks:
                logits = self._obeyed(logits, [(pixels, clicks)], box)
        return logits[0].float().cpu()

    def two_best(self, pixels: Pixels, clicks: Clicks) -> TwoBest | None:
        """The two best classes of a tile's pixels; None if it has no data.

        May be called while another thread asks for labels.

        Parameters
        ----------
        pixels, clicks
            As `batch` takes them.
        """
        form = self.form(pixels, clicks)
        return None if form is None else self._surely(partial(self._ranked, pixels, clicks, form))

    @torch.inference_mode()
    def _ranked(self, pixels: Pixels, clicks: Clicks, form: tuple[bool, Window]) -> TwoBest:
        clicked, box = form
        # What was seen of single pixels is not for two threads at once.
        tools = replace(self._tools, seen=LRUCache(_FEW))
        asked, usual = [(pixels, clicks)], box == self._wanted(pixels.tile, Clicks())
        with self._compute.autocast():
            batch = Batch(asked, box, clicked, self._compute, tools, usual)
            logits, counts = self.answer.compose(batch)
            if clicked:
                logits = self._obeyed(logits, asked, box)
            elif counts is not None and self.answer.fallback is not None:
                other, _ = NetworkAnswer(self.answer.fallback).compose(batch)
                logits = torch.where(counts, logits, other)
        tile = pixels.tile
        return TwoBest.of(_kept(logits[0], tile, box), tile.keep)

    def _surely(self, work: Callable[[], T]) -> T:
        """Do it again with fewer tiles at once, and at last on the CPU, where memory is full."""
        for again in (True, False, False):
            try:
                return work()
            except RuntimeError as error:
                if self._compute.last_resort or not out_of_memory(error):
                    raise
            # Not in the handler: the error holds on to the tensors of the failed attempt.
            self._compute.free()
            if not again:  # others may have taken the memory for a moment
                self._take_less()
        return work()

    def _take_less(self) -> None:
        device = self._compute.device.type
        if self._compute.batch > 1:
            self._compute = replace(self._compute, batch=1)
            how = "going on with one tile at a time"
        else:
            self._tools.networks.forget(self._compute)
            self._compute = self._compute.on_cpu()
            how = "going on on the CPU"
        self._notes.append(Note(f"The memory of the {device} device is full: {how}"))


def _kept(values: torch.Tensor, tile: Tile, box: Window) -> torch.Tensor:
    """Those of a box's ``(n, h, w)`` values that a tile keeps."""
    kept = tile.keep.relative_to(tile.read).relative_to(box)
    return values[(slice(None), *kept.slices)]
