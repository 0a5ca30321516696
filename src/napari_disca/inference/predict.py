"""Labels of tiles, predicted with the networks of a run.

A tile's labels depend on its own pixels, the clicks that reach into it, and the networks alone,
so a map that is refreshed where clicks changed equals one made from scratch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_disca.annotations.clicks import Clicks, MergedClick
from napari_disca.core.errors import out_of_memory
from napari_disca.core.events import Note
from napari_disca.core.threads import FREED_MEMORY
from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.click_constraint import constrained
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer, source_of
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_batch import Batch, TileInput, Tools
from napari_disca.inference.tiles import Pixels, read_pixels, wanted_window
from napari_disca.inference.two_best import TwoBest
from napari_disca.inference.uncertainty import (
    cell_share,
    mixed_uncertainty,
    on_network,
    uncertainty,
)
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.storage.label_pyramid import NO_DATA

T = TypeVar("T")

#: Radius in pixels of the network's grid for `inference.click_constraint`.
CONSTRAINT_RADIUS = 8
#: Labels that the fallback network has predicted before, by tile.
FallbackLabels = Mapping[int, "Predicted"]


class Predicted(NamedTuple):
    """Labels of a tile, and the uncertainty of its cells if that was asked for."""

    labels: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8] | None = None


class Predictor:
    """Predicts labels of tiles for one run on one device.

    If the device's memory is full, it goes on with one tile at a time, then on the CPU, and tells
    so with a `Note`.

    Parameters
    ----------
    answer : AnswerComposer or Network
        How the run's networks are combined; a network alone reads image and clicks.
    network_view : NetworkView
    compute : Compute
    tools : Tools, optional
        Caches that are shared with other predictors of the same image.
    uncertain : bool
        Whether `batch` also returns uncertainties.
    """

    def __init__(
        self,
        answer: AnswerComposer | Network,
        network_view: NetworkView,
        compute: Compute,
        tools: Tools | None = None,
        *,
        uncertain: bool = False,
    ) -> None:
        if isinstance(answer, nn.Module):
            answer = NetworkAnswer(source_of(answer))
        self.answer: AnswerComposer = answer
        self._view = network_view
        self._compute = compute
        self._tools = tools or Tools(network_view)
        self._uncertain = uncertain
        self._notes: list[Note] = []

    def notes(self) -> list[Note]:
        """Return notes for the user that were not returned before."""
        notes, self._notes = self._notes, []
        return notes

    def knows(self, tile: Tile, clicks: Clicks) -> bool:
        """Whether a tile can be predicted from cached features, without reading its pixels."""
        plain, tools = self.answer.plain, self._tools
        caches = (plain.encoder, tools.features), (plain.weights, tools.condensed)
        return not clicks and any(
            name and cache is not None and (name, tile.index) in cache for name, cache in caches
        )

    def labels(self, tile: Tile, clicks: Clicks) -> tuple[Window, NDArray[np.uint8]]:
        """Read and predict one tile.

        Parameters
        ----------
        tile : Tile
            On the network's grid.
        clicks : Clicks
            Clicks that reach into the tile, see `TileClicks.of`.

        Returns
        -------
        Window
            The kept pixels, on the image's grid.
        (height, width) array of uint8
            Class ids; 255 where the image has no data.
        """
        pixels = read_pixels(self._view, tile)
        return pixels.window, self.batch([(pixels, clicks)])[0].labels

    def batch(
        self, asked: Sequence[TileInput], fallback: FallbackLabels | None = None
    ) -> list[Predicted]:
        """Predict labels of some tiles, in full batches where they allow it.

        Parameters
        ----------
        asked : sequence of (Pixels, Clicks)
        fallback : mapping of int to Predicted, optional
            Labels that the answer's fallback has predicted before, by tile.

        Returns
        -------
        list of Predicted
            For each tile its labels; with `uncertain` also the uncertainty of its cells, but None
            where nothing is valid.
        """
        found = {
            i: Predicted(np.full(pixels.window.shape, NO_DATA, dtype=np.uint8))
            for i, (pixels, _) in enumerate(asked)
        }
        forms: dict[tuple[bool, Window], list[int]] = {}
        for i, (pixels, clicks) in enumerate(asked):
            form = self.batch_key(pixels, clicks)
            if form is not None:
                forms.setdefault(form, []).append(i)
        for (clicked, box), members in forms.items():
            group = [asked[i] for i in members]
            results = self._retried(partial(self._predicted, group, box, clicked, fallback or {}))
            for i, (best, unsure) in zip(members, results, strict=True):
                np.copyto(found[i].labels, best, where=asked[i][0].valid)
                found[i] = found[i]._replace(uncertainty=unsure)
        if self._compute.device.type == "cpu":
            FREED_MEMORY.return_unused()
        return [found[i] for i in range(len(asked))]

    def batch_key(self, pixels: Pixels, clicks: Clicks) -> tuple[bool, Window] | None:
        """What tiles of one batch have in common: whether there are clicks, and the wanted window.

        None if the tile has no data, so that no network is needed.
        """
        if not pixels.valid.any():
            return None
        return bool(clicks), self._wanted(pixels.tile, clicks)

    @torch.inference_mode()
    def _predicted(
        self, asked: Sequence[TileInput], box: Window, clicked: bool, fallback: FallbackLabels
    ) -> list[Predicted]:
        """Predict tiles with the same `batch_key`, as many at once as the device takes."""
        best: list[Predicted] = []
        for start in range(0, len(asked), self._compute.batch):
            part = asked[start : start + self._compute.batch]
            with self._compute.autocast():
                # The cache has features for the window that tiles without clicks need.
                usual = box == self._wanted(part[0][0].tile, Clicks())
                batch = Batch(part, box, clicked, self._compute, self._tools, usual)
                logits, counts = self.answer.compose(batch)
                if clicked:
                    logits = self._constrained_logits(logits, part, box)
            for i, (pixels, clicks) in enumerate(part):
                unsure = self._unsure(logits[i], pixels, box) if self._uncertain else None
                predicted = Predicted(self._best(logits[i], pixels, box), unsure)
                if counts is not None and not clicked:
                    learned = self._on_image(counts[i], pixels, box)
                    predicted = self._with_fallback(predicted, learned, pixels, fallback)
                self._set_clicked(predicted.labels, pixels, clicks)
                best.append(predicted)
        return best

    def _with_fallback(
        self,
        answer: Predicted,
        counts: NDArray[np.bool_],
        pixels: Pixels,
        predicted: FallbackLabels,
    ) -> Predicted:
        """Labels of the answer at pixels where it counts, and of its fallback elsewhere."""
        other = predicted.get(pixels.tile.index)
        if other is None:
            assert self.answer.fallback is not None, "an answer that does not count everywhere"
            fallback = NetworkAnswer(self.answer.fallback)
            predictor = Predictor(
                fallback, self._view, self._compute, self._tools, uncertain=self._uncertain
            )
            (other,) = predictor.batch([(pixels, Clicks())])
            self._notes += predictor.notes()
        unsure = answer.uncertainty
        if unsure is not None and other.uncertainty is not None:
            keep = pixels.tile.keep
            on_grid = on_network(counts, pixels.window, keep, self._view)
            unsure = mixed_uncertainty(unsure, other.uncertainty, cell_share(on_grid, keep))
        return Predicted(np.where(counts, answer.labels, other.labels), unsure)

    def _on_image(self, chosen: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.bool_]:
        """Resample a ``(1, h, w)`` mask of the network's grid to the image's grid."""
        if not self._view.resampled:
            mask: NDArray[np.bool_] = _cut_to_keep(chosen, pixels.tile, box)[0].cpu().numpy()
            return mask
        window = box.placed_in(pixels.tile.read)
        covered = self._view.to_image(chosen.float().cpu().numpy(), window, pixels.window)[0]
        resampled: NDArray[np.bool_] = covered >= 0.5
        return resampled

    def _wanted(self, tile: Tile, clicks: Clicks) -> Window:
        """Window of logits that the kept pixels depend on, relative to the tile's read window."""
        box = wanted_window(self._view, tile)
        # Grown only for a click just outside, whose constraint reaches inside: larger is slower.
        beyond = box.grown(self._constraint_radius) & tile.read
        if len(clicks.inside(beyond)) > len(clicks.inside(box)):
            box = beyond
        return box.relative_to(tile.read)

    def _best(self, logits: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.uint8]:
        if not self._view.resampled:
            best = _cut_to_keep(logits, pixels.tile, box).argmax(dim=0)
            classes: NDArray[np.uint8] = best.to(torch.uint8).cpu().numpy()
            return classes
        window = box.placed_in(pixels.tile.read)
        on_image = self._view.to_image(logits.float().cpu().numpy(), window, pixels.window)
        classes = on_image.argmax(axis=0).astype(np.uint8)
        return classes

    def _set_clicked(self, labels: NDArray[np.uint8], pixels: Pixels, clicks: Clicks) -> None:
        """Set the labels of the clicked pixels to the classes of their clicks, in place.

        Resampling may have mixed them with their neighbours, and the logits cannot satisfy
        every one of several adjacent clicks.
        """
        for click in clicks.inside(pixels.tile.keep):
            pixel = self._view.image_window(Window(click.row, click.col, 1, 1))
            labels[(pixel & pixels.window).relative_to(pixels.window).slices] = click.label
            for own in click.clicks if isinstance(click, MergedClick) else ():
                labels[own.row - pixels.window.top, own.col - pixels.window.left] = own.label

    def _unsure(self, logits: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.uint8]:
        keep = pixels.tile.keep
        valid = on_network(pixels.valid, pixels.window, keep, self._view)
        return uncertainty(_cut_to_keep(logits, pixels.tile, box), keep, valid)

    def _constrained_logits(
        self, logits: torch.Tensor, asked: Sequence[TileInput], box: Window
    ) -> torch.Tensor:
        """Logits of tiles in which every click's class is the likeliest at its pixel."""
        result = logits
        for i, (pixels, clicks) in enumerate(asked):
            of_tile, window = logits[i], box.placed_in(pixels.tile.read)
            changed = constrained(of_tile, clicks, window, self._constraint_radius)
            if changed is not of_tile:
                if result is logits:
                    # In channels-last layout, in which the argmax is faster: by a fifth of the
                    # time of a click.
                    result = logits.clone(memory_format=torch.channels_last)
                result[i] = changed
        return result

    @property
    def _constraint_radius(self) -> int:
        # Not farther than guidance reaches, or a click would change tiles it is not assigned to.
        return min(CONSTRAINT_RADIUS, self._view.card.guidance.reach)

    def logits(self, read: Window, clicks: Clicks) -> torch.Tensor:
        """Logits ``(classes, height, width)`` of a window of the network's grid, on the CPU."""
        tile = Tile(0, read, read)
        pixels = Pixels(tile, read, np.ones((1, 1), dtype=np.bool_), self._view.read(read))
        return self._retried(partial(self._whole, pixels, clicks))

    @torch.inference_mode()
    def _whole(self, pixels: Pixels, clicks: Clicks) -> torch.Tensor:
        box = Window.whole(pixels.window.shape)
        # Without caches, whose keys are tiles: the window is none of them.
        tools = Tools(self._view, self._tools.networks)
        with self._compute.autocast():
            batch = Batch([(pixels, clicks)], box, bool(clicks), self._compute, tools)
            logits, _ = self.answer.compose(batch)
            if clicks:
                logits = self._constrained_logits(logits, [(pixels, clicks)], box)
        return logits[0].float().cpu()

    def two_best(self, pixels: Pixels, clicks: Clicks) -> TwoBest | None:
        """Return the two best classes of a tile's pixels; None if it has no data.

        Safe to call while another thread predicts.

        Parameters
        ----------
        pixels, clicks
            As `batch` takes them.
        """
        form = self.batch_key(pixels, clicks)
        return None if form is None else self._retried(partial(self._ranked, pixels, clicks, form))

    @torch.inference_mode()
    def _ranked(self, pixels: Pixels, clicks: Clicks, form: tuple[bool, Window]) -> TwoBest:
        clicked, box = form
        asked, usual = [(pixels, clicks)], box == self._wanted(pixels.tile, Clicks())
        with self._compute.autocast():
            batch = Batch(asked, box, clicked, self._compute, self._tools, usual)
            logits, counts = self.answer.compose(batch)
            if clicked:
                logits = self._constrained_logits(logits, asked, box)
            elif counts is not None and self.answer.fallback is not None:
                other, _ = NetworkAnswer(self.answer.fallback).compose(batch)
                logits = torch.where(counts, logits, other)
        tile = pixels.tile
        return TwoBest.of(_cut_to_keep(logits[0], tile, box), tile.keep)

    def _retried(self, work: Callable[[], T]) -> T:
        """Return the result of work; where memory is full, in smaller batches or from the CPU."""
        for again in (True, False, False):
            try:
                return work()
            except RuntimeError as error:
                if self._compute.last_resort or not out_of_memory(error):
                    raise
            # Outside the handler: the error references the tensors of the failed attempt.
            self._compute.release_memory()
            if not again:  # others may have taken the memory for a moment
                self._take_less()
        return work()

    def _take_less(self) -> None:
        device = self._compute.device.type
        if self._compute.batch > 1:
            self._compute = replace(self._compute, batch=1)
            how = "continuing with one tile at a time"
        else:
            self._tools.networks.forget(self._compute)
            self._compute = self._compute.on_cpu()
            how = "continuing on the CPU"
        self._notes.append(Note(f"The memory of the {device} device is full: {how}"))


def _cut_to_keep(values: torch.Tensor, tile: Tile, box: Window) -> torch.Tensor:
    """Return values ``(n, h, w)`` of the window `box` at the pixels that a tile keeps."""
    keep = tile.keep.relative_to(tile.read).relative_to(box)
    return values[(slice(None), *keep.slices)]
