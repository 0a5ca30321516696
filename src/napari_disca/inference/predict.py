"""Network + image + clicks -> patches of a label map, tile by tile.

A tile's labels depend on its own pixels, the clicks that reach into it, and the weights, and on
nothing else. So a map that is refreshed where clicks changed equals one made from scratch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click, Clicks, Merged
from napari_disca.core.errors import RasterError, out_of_memory
from napari_disca.core.events import Note
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.click_constraint import constrained
from napari_disca.inference.feature_similarity import FeatureSimilarity
from napari_disca.inference.features import FeatureCache, halved
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.uncertainty import mixed, on_network, share, uncertainty
from napari_disca.networks import Features, Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.storage.label_pyramid import NO_DATA

T = TypeVar("T")

#: Tiles of 512 pixels that overlap by 128, Lenczner et al. (2020), section 4.1.
TILE_SIZE, TILE_HALO = 512, 64
#: Pixels of the network's grid around a click that follow it if the network does not.
OBEYED_WITHIN = 8
#: A click is felt in full where it changes a logit by this much.
_FELT = 0.5
#: Some 10^11 pixels.
_MOST_TILES, _LONGEST_SIDE = 1 << 20, 1 << 28


def tiling_for(inputs: NetworkView) -> Tiling:
    """Tiles of the paper on the network's grid of an image.

    Raises
    ------
    RasterError
        If they are too many to keep an account of: an image that nobody has, a damaged header.
    """
    tiling = Tiling(inputs.shape, TILE_SIZE, TILE_HALO)
    # Both sides by themselves first: a grid's rows and columns are lists.
    if max(inputs.shape) > _LONGEST_SIDE or len(tiling) > _MOST_TILES:
        raise RasterError(
            f"{inputs.raster.name} has {inputs.raster.shape[0]} x {inputs.raster.shape[1]} pixels "
            f"(the network reads {inputs.shape[0]} x {inputs.shape[1]}), more than can be "
            "corrected; cut out what matters"
        )
    return tiling


@dataclass(frozen=True)
class TileClicks:
    """The clicks that reach into each tile, on the network's grid.

    Parameters
    ----------
    by_tile : mapping of int to Clicks
        Tile index -> its clicks; tiles that no click reaches are absent.
    clicks : Clicks
        All of them, in pixels of the image.
    """

    by_tile: Mapping[int, Clicks]
    clicks: Clicks = field(default_factory=Clicks)
    #: Tile index -> fingerprint of its clicks, once it was asked for.
    _digests: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def assign(cls, clicks: Clicks, inputs: NetworkView, tiling: Tiling) -> TileClicks:
        """Find the tiles of every click.

        Parameters
        ----------
        clicks : Clicks
            In pixels of the image.
        """
        guidance = inputs.card.guidance
        there = inputs.network_clicks(clicks)
        touched = _touched(there, inputs, tiling)
        return cls({i: guidance.relevant(there, tile.read) for i, tile in touched.items()}, clicks)

    def updated(self, clicks: Clicks, inputs: NetworkView, tiling: Tiling) -> TileClicks:
        """`assign` of other clicks; only the tiles that a difference touches are looked at.

        So the thousandth click costs what the first one did.

        Parameters
        ----------
        clicks : Clicks
            In pixels of the image.
        """
        guidance = inputs.card.guidance
        if guidance.drawing != "cone":
            # In the authors' drawing a click can matter in tiles far from it, through others.
            return TileClicks.assign(clicks, inputs, tiling)
        gone, come, at_end = _difference(self.clicks, clicks)
        added = inputs.network_clicks(Clicks(come))
        touched = _touched(added, inputs, tiling)
        if gone:
            touched |= _touched(inputs.network_clicks(Clicks(gone)), inputs, tiling)
        # Behind the others a tile's new clicks can be put without a look at the rest, unless they
        # fall on a pixel of the network's grid that has one.
        new = {click.pixel for click in added}
        behind = (
            at_end
            and not gone
            and not any(c.pixel in new for index in touched for c in self.by_tile.get(index, ()))
        )
        there = added if behind else inputs.network_clicks(clicks)
        by_tile, digests = dict(self.by_tile), dict(self._digests)
        for index, tile in touched.items():
            digests.pop(index, None)
            near = guidance.relevant(there, tile.read)
            if behind:
                near = by_tile.get(index, Clicks()).added(*near)
            if near:
                by_tile[index] = near
            else:
                by_tile.pop(index, None)
        return TileClicks(by_tile, clicks, digests)

    def of(self, tile: Tile) -> Clicks:
        """Clicks that reach into this tile."""
        return self.by_tile.get(tile.index, Clicks())

    def digest(self, tile: int) -> str:
        """Fingerprint of the clicks of a tile; empty if it has none."""
        digest = self._digests.get(tile)
        if digest is None:
            clicks = self.by_tile.get(tile)
            if clicks is None:
                return ""
            digest = self._digests[tile] = _digest(clicks)
        return digest


def _digest(clicks: Clicks) -> str:
    digest = hashlib.blake2b(np.stack(clicks.arrays()).tobytes(), digest_size=8)
    for click in clicks:
        if isinstance(click, Merged):
            digest.update(np.stack(Clicks(click.clicks).arrays()).tobytes())
    return digest.hexdigest()


def _touched(clicks: Clicks, inputs: NetworkView, tiling: Tiling) -> dict[int, Tile]:
    """Tiles that clicks on the network's grid reach into, by index."""
    reach = inputs.card.guidance.reach
    return {
        tile.index: tile
        for click in clicks
        for tile in tiling.touching(Window(click.row, click.col, 1, 1).grown(reach))
    }


def _difference(before: Clicks, after: Clicks) -> tuple[tuple[Click, ...], tuple[Click, ...], bool]:
    """Clicks that went, those that came, and whether these are the last ones.

    What both begin and end with is left out. That is a look at each pair, but by identity: one
    verb changes one click, and the others stay the same objects.
    """
    old, new = before.items, after.items
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] is not new[i] and old[i] != new[i]), most)
    end = next((i for i in range(most - start) if old[-1 - i] is not new[-1 - i]), most - start)
    return old[start : len(old) - end], new[start : len(new) - end], end == 0


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """What is read of an image for a tile.

    Attributes
    ----------
    tile : Tile
    window : Window
        The kept pixels, on the image's grid.
    valid : (height, width) array of bool
        Where they have data.
    image : (bands, h, w) array of float32, or None
        Scaled pixels of ``tile.read``; None where nothing is valid or nobody asks for them.
    """

    tile: Tile
    window: Window
    valid: NDArray[np.bool_]
    image: NDArray[np.float32] | None


def read_pixels(inputs: NetworkView, tile: Tile, *, image: bool = True) -> Pixels:
    """Read a tile; the part of the work that needs no network.

    Parameters
    ----------
    inputs : NetworkView
    tile : Tile
        On the network's grid.
    image : bool
        Whether the pixels are wanted, or only where there is data.
    """
    window = inputs.image_window(tile.keep)
    valid = inputs.raster.valid(window)
    return Pixels(tile, window, valid, inputs.read(tile.read) if image and valid.any() else None)


class Predicted(NamedTuple):
    """What a network says of a tile: class ids, and how sure it is, if that was asked for."""

    labels: NDArray[np.uint8]
    uncertainty: NDArray[np.uint8] | None = None


class Predictor:
    """Turns tiles into labels with one network, device and precision.

    Where the device's memory is full it goes on with one tile at a time, then on the CPU, and has a
    `Note` to say so.

    Parameters
    ----------
    network : Network
        Left as it was: a copy is made ready for the device when it is first needed.
    inputs : NetworkView
    compute : Compute
    features : (str, FeatureCache), optional
        Fingerprint of the network's encoder, and where to keep what it says about tiles without
        clicks. Features then go through half precision, found in the cache or not.
    near : Predictor, optional
        Of the pretrained network, if that shall read the clicks in place of `network`, which has
        learned from them already. Its guided logits count as far as the clicks change them, and
        those of `network` without clicks beyond.
    likeness : FeatureSimilarity, optional
        With `near`: `network` counts only for pixels that look like the clicks it has learned from;
        the others stay as the pretrained network has them.
    pretrained : callable, optional
        What the pretrained network says of a tile without clicks, where it is known.
    kept : (str, FeatureCache), optional
        Fingerprint of the network, and where to keep the logits of tiles with clicks. The next
        click in a tile asks for two of its three logits again, and a second map for the third.
    uncertain : bool
        Whether `batch` tells how sure the network is, too.
    """

    def __init__(
        self,
        network: Network,
        inputs: NetworkView,
        compute: Compute,
        features: tuple[str, FeatureCache] | None = None,
        near: Predictor | None = None,
        likeness: FeatureSimilarity | None = None,
        pretrained: Callable[[Tile], Predicted | None] = lambda _: None,
        kept: tuple[str, FeatureCache] | None = None,
        *,
        uncertain: bool = False,
    ) -> None:
        self._original = network
        self._uncertain = uncertain
        self._near = near
        self._likeness = likeness if near is not None else None
        self._pretrained = pretrained
        self._name = kept[0] if kept else ""
        self._kept = kept[1] if kept else None
        self._inputs = inputs
        self._compute = compute
        self._encoder = features[0] if features else ""
        self._features = features[1] if features else None
        self._notes: list[Note] = []

    def notes(self) -> list[Note]:
        """What the user has not been told yet."""
        told, self._notes = self._notes, []
        return told

    @cached_property
    def _network(self) -> Network:
        return self._ready(self._compute)

    @cached_property
    def _near_network(self) -> Network:
        near, here = self._near, self._compute
        assert near is not None
        # One copy for both, unless only one of them had to leave a full device.
        same = replace(near._compute, batch=here.batch) == here
        return near._network if same else near._ready(here)

    def _ready(self, compute: Compute) -> Network:
        return prepared(self._original, compute.device, compute.dtype, folded=compute.folded)

    def knows(self, tile: Tile, clicks: Clicks) -> bool:
        """Whether a tile can be drawn without its pixels."""
        return (
            self._features is not None
            and not clicks
            and (self._encoder, tile.index) in self._features
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

    def batch(self, asked: Sequence[tuple[Pixels, Clicks]]) -> list[Predicted]:
        """Class ids of some tiles, each as `labels` gives them.

        With them, if it is wanted, the `uncertainty` of each tile's cells; None where nothing is
        valid.
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
            drawn = self._surely(partial(self._drawn, [asked[i] for i in members], box, clicked))
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
        self, asked: Sequence[tuple[Pixels, Clicks]], box: Window, clicked: bool
    ) -> list[Predicted]:
        """Best classes of tiles of one form, as many at once as the device takes."""
        best: list[Predicted] = []
        for start in range(0, len(asked), self._compute.batch):
            part = asked[start : start + self._compute.batch]
            logits, counts = self._logits(part, box, clicked)
            for i, (pixels, clicks) in enumerate(part):
                unsure = self._unsure(logits[i], pixels, box) if self._uncertain else None
                labels = self._best(logits[i], pixels, box)
                if counts is not None:
                    unlearned = self._unlearned(pixels)
                    learned = self._on_image(counts[i], pixels, box)
                    labels = np.where(learned, labels, unlearned.labels)
                    if unsure is not None and unlearned.uncertainty is not None:
                        keep = pixels.tile.keep
                        there = on_network(learned, pixels.window, keep, self._inputs)
                        unsure = mixed(unsure, unlearned.uncertainty, share(there, keep))
                self._clicked(labels, pixels, clicks)
                best.append(Predicted(labels, unsure))
        return best

    def _unlearned(self, pixels: Pixels) -> Predicted:
        """What the pretrained network says of a tile without clicks."""
        known = self._pretrained(pixels.tile)
        if known is None:
            assert self._near is not None
            (known,) = self._near.batch([(pixels, Clicks())])
        return known

    def _on_image(self, chosen: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.bool_]:
        """Bring a ``(1, h, w)`` choice of the network's pixels to the image's."""
        if self._inputs.factor == 1.0:
            there: NDArray[np.bool_] = _kept(chosen, pixels.tile, box)[0].cpu().numpy()
            return there
        window = box.placed_in(pixels.tile.read)
        covered = self._inputs.to_image(chosen.float().cpu().numpy(), window, pixels.window)[0]
        resampled: NDArray[np.bool_] = covered >= 0.5
        return resampled

    def _wanted(self, tile: Tile, clicks: Clicks) -> Window:
        """Logits that decide about the kept pixels, counted from the corner of what is read."""
        factor = self._inputs.factor
        # A pixel of the image looks at the network's pixels that it covers, and at neighbours.
        margin = 0 if factor == 1.0 else 2 + math.ceil(factor)
        box = tile.keep.grown(margin) & tile.read
        # Clicks beyond it that are obeyed inside, too. Seldom, and the more there is the slower.
        beyond = box.grown(self._obeyed_within) & tile.read
        if len(clicks.inside(beyond)) > len(clicks.inside(box)):
            box = beyond
        return box.relative_to(tile.read)

    def _best(self, logits: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.uint8]:
        if self._inputs.factor == 1.0:
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
            for own in click.clicks if isinstance(click, Merged) else ():
                labels[own.row - pixels.window.top, own.col - pixels.window.left] = own.label

    def _unsure(self, logits: torch.Tensor, pixels: Pixels, box: Window) -> NDArray[np.uint8]:
        keep = pixels.tile.keep
        valid = on_network(pixels.valid, pixels.window, keep, self._inputs)
        return uncertainty(_kept(logits, pixels.tile, box), keep, valid)

    def _logits(
        self, asked: Sequence[tuple[Pixels, Clicks]], box: Window, clicked: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits of the same box of some tiles, at most a batch of them.

        With them, ``(B, 1, h, w)``, where they count; None: everywhere.
        """
        cached = None if clicked else self._features
        network = self._network
        with self._compute.autocast():
            if clicked:
                logits = self._computed(asked, box, True, self._kept)
                return self._obeyed(logits, asked, box), None
            if cached is None:
                return self._learned(network.features(self._images(asked), None, box), box)
            keys = [(self._encoder, pixels.tile.index) for pixels, _ in asked]
            known = {key: features for key in keys if (features := cached.get(key)) is not None}
            unknown = [one for key, one in zip(keys, asked, strict=True) if key not in known]
            if unknown:
                images = self._images(unknown)
                encoded = halved(network.features(images, None, box), self._compute.dtype)
                for i, (pixels, _) in enumerate(unknown):
                    features = tuple(layer[i : i + 1].cpu() for layer in encoded)
                    known[self._encoder, pixels.tile.index] = features
                    cached.put((self._encoder, pixels.tile.index), features)
            one = [known[key] for key in keys]
            one += [one[-1]] * (self._compute.batch - len(one))
            # The same memory format whatever a layer went through: another may round differently.
            layers = tuple(
                torch.cat(parts).to(
                    self._compute.device, self._compute.dtype, memory_format=torch.channels_last
                )
                for parts in zip(*one, strict=True)
            )
            return self._learned(layers, box)

    def _learned(self, features: Features, box: Window) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits from the features of tiles without clicks, and where they count."""
        if self._likeness is None:
            return self._network.decode_window(features, box), None
        logits, closest = self._network.decode_described(features, box, self._likeness.closest)
        return logits, self._likeness.counts(logits, closest)

    def _computed(
        self,
        asked: Sequence[tuple[Pixels, Clicks]],
        box: Window,
        clicked: bool,
        kept: FeatureCache | None,
    ) -> torch.Tensor:
        """Logits from the pixels; with `near` its own where the clicks are felt.

        Where what was learned does not count it is `near` alone: on the rim of a click's reach,
        where it is felt in part, a mixture with its map without clicks would take back half of
        what the click did.
        """
        converted: list[torch.Tensor] = []

        def through(
            network: Network, name: str, guided: bool, *, learned: bool = False
        ) -> tuple[torch.Tensor, ...]:
            """Logits; of the network that has learned also where they count, unless everywhere."""
            # The part that is wanted depends on the clicks, too.
            part = f"{name}@{box.top},{box.left},{box.bottom},{box.right}"
            keys = [
                (f"{part}+{_digest(clicks)}" if guided else part, pixels.tile.index)
                for pixels, clicks in asked
            ]
            if kept is not None:
                known = [layers for key in keys if (layers := kept.get(key)) is not None]
                if len(known) == len(asked):
                    parts = zip(*known, strict=True)
                    return tuple(torch.cat(part).to(self._compute.device) for part in parts)
            if not converted:
                converted.append(self._images(asked))
            guidance = self._guidance(asked) if guided else None
            features = network.features(converted[0], guidance, box)
            if learned:
                found = [part for part in self._learned(features, box) if part is not None]
            else:
                found = [network.decode_window(features, box)]
            found = [part[: len(asked)] for part in found]
            if kept is not None:
                for i, key in enumerate(keys):
                    kept.put(key, tuple(part[i : i + 1].cpu() for part in found))
            return tuple(found)

        near = self._near
        if not clicked or near is None:
            return through(self._network, self._name, clicked)[0]
        guided = through(self._near_network, near._name, True)[0].float()
        plain = through(self._near_network, near._name, False)[0].float()
        felt = (guided - plain).abs().amax(dim=1, keepdim=True)
        fully = (felt / _FELT).clamp(max=1.0)
        logits, *counts = through(self._network, self._name, False, learned=True)
        joined = torch.lerp(logits.float(), guided, fully)
        return torch.where(counts[0], joined, guided) if counts else joined

    def _obeyed(
        self, logits: torch.Tensor, asked: Sequence[tuple[Pixels, Clicks]], box: Window
    ) -> torch.Tensor:
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

    def _images(self, asked: Sequence[tuple[Pixels, Clicks]]) -> torch.Tensor:
        """Scaled pixels of some tiles, at most a batch of them, on the device."""
        images = [
            self._inputs.read(pixels.tile.read) if pixels.image is None else pixels.image
            for pixels, _ in asked
        ]
        return _filled(images, self._compute.batch, self._compute.device)

    def _guidance(self, asked: Sequence[tuple[Pixels, Clicks]]) -> torch.Tensor:
        card, shape = self._inputs.card, self._inputs.shape
        drawn = [
            card.guidance.draw(clicks, pixels.tile.read, len(card.classes), shape)
            for pixels, clicks in asked
        ]
        return _filled(drawn, self._compute.batch, self._compute.device)

    def logits(self, read: Window, clicks: Clicks) -> torch.Tensor:
        """Logits ``(classes, height, width)`` of a window of the network's grid, on the CPU."""
        tile = Tile(0, read, read)
        pixels = Pixels(tile, read, np.ones((1, 1), dtype=np.bool_), self._inputs.read(read))
        return self._surely(partial(self._whole, pixels, clicks))

    @torch.inference_mode()
    def _whole(self, pixels: Pixels, clicks: Clicks) -> torch.Tensor:
        box = Window.whole(pixels.window.shape)
        with self._compute.autocast():
            logits = self._computed([(pixels, clicks)], box, bool(clicks), None)
            if clicks:
                logits = self._obeyed(logits, [(pixels, clicks)], box)
        return logits[0].float().cpu()

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
            self._compute = self._compute.on_cpu()
            for name in ("_network", "_near_network"):
                self.__dict__.pop(name, None)  # another copy is made ready there
            how = "going on on the CPU"
        self._notes.append(Note(f"The memory of the {device} device is full: {how}"))


def _kept(values: torch.Tensor, tile: Tile, box: Window) -> torch.Tensor:
    """Those of a box's ``(n, h, w)`` values that a tile keeps."""
    kept = tile.keep.relative_to(tile.read).relative_to(box)
    return values[(slice(None), *kept.slices)]


def _filled(
    arrays: Sequence[NDArray[np.float32]], batch: int, device: torch.device
) -> torch.Tensor:
    """Arrays as a batch of always the same size, channels last, the rest zeros."""
    stacked = (
        torch.from_numpy(arrays[0])[None] if batch == 1 else torch.zeros(batch, *arrays[0].shape)
    )
    if batch > 1:
        for i, array in enumerate(arrays):
            stacked[i] = torch.from_numpy(array)
    return stacked.to(device, memory_format=torch.channels_last)
