"""The clicks that reach into each tile."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_disca.annotations.clicks import Click, Clicks, MergedClick
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.network_view import NetworkView


@dataclass(frozen=True)
class TileClicks:
    """The clicks that reach into each tile, on the network's grid.

    Parameters
    ----------
    by_tile : mapping of int to Clicks
        Tile index -> its clicks; tiles that no click reaches are absent.
    clicks : Clicks
        All clicks, in pixels of the image.
    """

    by_tile: Mapping[int, Clicks]
    clicks: Clicks = field(default_factory=Clicks)
    #: Tile index -> fingerprint of its clicks, computed when it is first needed.
    _digests: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def assign(cls, clicks: Clicks, network_view: NetworkView, tiling: Tiling) -> TileClicks:
        """Return the clicks of all tiles that they reach into.

        Parameters
        ----------
        clicks : Clicks
            In pixels of the image.
        """
        guidance = network_view.card.guidance
        on_network = network_view.network_clicks(clicks)
        touched = _touched(on_network, network_view, tiling)
        return cls(
            {i: guidance.relevant(on_network, tile.read) for i, tile in touched.items()}, clicks
        )

    def updated(self, clicks: Clicks, network_view: NetworkView, tiling: Tiling) -> TileClicks:
        """Return `assign` of other clicks; only tiles that a changed click reaches are updated.

        The thousandth click takes as long as the first.

        Parameters
        ----------
        clicks : Clicks
            In pixels of the image.
        """
        guidance = network_view.card.guidance
        if guidance.drawing != "cone":
            # In the authors' drawing a chain of clicks can reach into tiles far from its ends.
            return TileClicks.assign(clicks, network_view, tiling)
        gone, come, at_end = _difference(self.clicks, clicks)
        added = network_view.network_clicks(Clicks(come))
        touched = _touched(added, network_view, tiling)
        if gone:
            touched |= _touched(network_view.network_clicks(Clicks(gone)), network_view, tiling)
        # New clicks are appended to a tile's clicks without comparing them, unless one falls on a
        # pixel of the network's grid that has a click already.
        new = {click.pixel for click in added}
        behind = (
            at_end
            and not gone
            and not any(c.pixel in new for index in touched for c in self.by_tile.get(index, ()))
        )
        on_network = added if behind else network_view.network_clicks(clicks)
        by_tile, digests = dict(self.by_tile), dict(self._digests)
        for index, tile in touched.items():
            digests.pop(index, None)
            near = guidance.relevant(on_network, tile.read)
            if behind:
                near = by_tile.get(index, Clicks()).added(*near)
            if near:
                by_tile[index] = near
            else:
                by_tile.pop(index, None)
        return TileClicks(by_tile, clicks, digests)

    def of(self, tile: Tile) -> Clicks:
        """Return the clicks that reach into a tile, in pixels of the network's grid."""
        return self.by_tile.get(tile.index, Clicks())

    def digest(self, tile: int) -> str:
        """Return the fingerprint of a tile's clicks; empty if it has none."""
        digest = self._digests.get(tile)
        if digest is None:
            clicks = self.by_tile.get(tile)
            if clicks is None:
                return ""
            digest = self._digests[tile] = clicks_digest(clicks)
        return digest


def clicks_digest(clicks: Clicks) -> str:
    """Return the fingerprint of clicks on the network's grid."""
    digest = hashlib.blake2b(np.stack(clicks.arrays()).tobytes(), digest_size=8)
    for click in clicks:
        if isinstance(click, MergedClick):
            digest.update(np.stack(Clicks(click.clicks).arrays()).tobytes())
    return digest.hexdigest()


def _touched(clicks: Clicks, network_view: NetworkView, tiling: Tiling) -> dict[int, Tile]:
    """Tiles by index that clicks on the network's grid reach into."""
    reach = network_view.card.guidance.reach
    return {
        tile.index: tile
        for click in clicks
        for tile in tiling.touching(Window(click.row, click.col, 1, 1).grown(reach))
    }


def _difference(before: Clicks, after: Clicks) -> tuple[tuple[Click, ...], tuple[Click, ...], bool]:
    """Removed clicks, added clicks, and whether the added ones are the latest.

    The common beginning and end are skipped by comparing objects: one verb changes few clicks,
    and the others stay the same objects.
    """
    old, new = before.items, after.items
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] is not new[i] and old[i] != new[i]), most)
    end = next((i for i in range(most - start) if old[-1 - i] is not new[-1 - i]), most - start)
    return old[start : len(old) - end], new[start : len(new) - end], end == 0
