"""Versions: what every tile of every map shows, and what it should show.

A tile's labels depend on its pixels, the weights, the clicks that reach into it and the locks of
its pixels. The version is a fingerprint of the last three, computed in one place, `Target.version`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.session.maps.lock_index import LockIndex, locks_digest
from napari_disca.session.steps.strokes import Stroke, last_strokes
from napari_disca.storage.atomic import replacing

#: Number of parts of a version (weights, clicks, locks), and their separator.
_PARTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a map should show.

    Attributes
    ----------
    weights : str
        `AdaptationRun.answer`, or the fingerprint of the pretrained network.
    clicks : TileClicks
    locks : LockIndex
    """

    weights: str
    clicks: TileClicks
    locks: LockIndex

    def version(self, tile: int) -> str:
        """Return the fingerprint of what a tile's labels depend on besides its pixels."""
        return self._version_with(tile, self.locks.digest(tile))

    def before_strokes(self, tile: int) -> Iterator[tuple[str, tuple[Stroke, ...]]]:
        """Yield the versions that become this one by strokes, the latest first, and these strokes.

        They are computed one at a time, since the first is nearly always the right one.
        """
        touching = self.locks.of(tile)
        for strokes in last_strokes(touching):
            yield self._version_with(tile, locks_digest(touching[: -len(strokes)])), strokes

    def _version_with(self, tile: int, digest: str) -> str:
        return f"{self.unlocked(tile)}#{digest}" if digest else self.unlocked(tile)

    def unlocked(self, tile: int) -> str:
        """Return the version of a tile without locks: what the network predicts."""
        clicked = self.clicks.digest(tile)
        return f"{self.weights}+{clicked}" if clicked else self.weights

    def same(self, other: Target) -> bool:
        """Whether all versions are equal, as far as can be told without comparing tiles."""
        return (
            self.weights == other.weights
            and self.clicks is other.clicks
            and self.locks is other.locks
        )


def _split(version: str) -> tuple[str, str, str]:
    rest, _, locks = version.partition("#")
    weights, _, clicks = rest.partition("+")
    return weights, clicks, locks


class TileVersions:
    """The versions that the tiles of some maps show.

    The number of tiles that are out of date is counted once for a `Target`, and updated from then
    on, so that it needs no loop over all tiles.

    Parameters
    ----------
    maps : iterable of str
    tiles : int
        Number of tiles of each map.
    """

    def __init__(self, maps: Iterable[str], tiles: int) -> None:
        self._numbers = _Numbers()
        #: By map: numbers of weights, clicks and locks that each tile shows; 0 for none.
        self._shown = {name: np.zeros((_PARTS, tiles), dtype=np.int32) for name in maps}
        self._compared: dict[str, _Comparison] = {}

    def copy(self) -> Self:
        """Return a copy, which does not follow later changes."""
        copy = type(self)((), 0)
        copy._numbers = self._numbers  # shared, since it only grows
        copy._shown = {name: shown.copy() for name, shown in self._shown.items()}
        return copy

    def get(self, name: str, tile: int) -> str | None:
        """Return the version of a tile; None if it was never rendered."""
        weights, clicks, locks = (self._numbers.name(n) for n in self._shown[name][:, tile])
        if not weights:
            return None
        return weights + (f"+{clicks}" if clicks else "") + (f"#{locks}" if locks else "")

    def put(self, name: str, tile: int, version: str) -> None:
        """Set the version of a tile; the empty version means that it is not known."""
        shown = self._shown[name]
        shown[:, tile] = [self._numbers.of(part) for part in _split(version)]
        if name in self._compared:
            self._compared[name].look_at(tile, shown)

    def rendered(self, name: str) -> NDArray[np.bool_]:
        """Return which tiles of a map were rendered."""
        shown: NDArray[np.bool_] = self._shown[name][0] > 0
        return shown

    def differ(self, name: str, other: str) -> NDArray[np.bool_]:
        """Return which tiles show different versions in two maps."""
        different: NDArray[np.bool_] = (self._shown[name] != self._shown[other]).any(axis=0)
        return different

    def stale(self, name: str, target: Target) -> NDArray[np.bool_]:
        """Return which tiles of a map show another version than the target's, or none.

        Returns
        -------
        (tiles,) array of bool
            Read-only, and changed by later calls: copy it to keep it.
        """
        return self._comparison(name, target).stale

    def stale_count(self, name: str, target: Target) -> int:
        """Return the number of tiles in `stale`."""
        return self._comparison(name, target).count

    def touched(self, name: str, clicks: TileClicks) -> NDArray[np.bool_]:
        """Return which tiles of a map show other clicks than these; they are rendered first."""
        shown = self._shown[name]
        other: NDArray[np.bool_] = shown[1] != self._clicks(clicks, shown.shape[1])
        return other

    def _comparison(self, name: str, target: Target) -> _Comparison:
        comparison = self._compared.get(name)
        if comparison is not None and comparison.target.same(target):
            return comparison
        shown = self._shown[name]
        if comparison is not None and comparison.follows(target, self._numbers, shown):
            return comparison
        wanted = np.empty_like(shown)
        wanted[0] = self._numbers.of(target.weights)
        wanted[1] = self._clicks(target.clicks, shown.shape[1])
        digests = [self._numbers.of(digest) for _, digest in target.locks.sets]
        wanted[2] = np.array(digests, dtype=np.int32)[target.locks.numbers.ravel()]
        made = self._compared[name] = _Comparison(target, wanted, shown)
        return made

    def _clicks(self, clicks: TileClicks, tiles: int) -> NDArray[np.int32]:
        wanted = np.zeros(tiles, dtype=np.int32)
        for tile in clicks.by_tile:
            wanted[tile] = self._numbers.of(clicks.digest(tile))
        return wanted

    def save(self, path: Path, about: str, **beside: Any) -> None:
        """Write the versions as JSON.

        Parameters
        ----------
        about : str
            Fingerprint of everything else that the labels depend on.
        beside
            Other fields of the file.

        Raises
        ------
        ExportError
            If the file cannot be written.
        """
        shown = {name: numbers.tolist() for name, numbers in self._shown.items()}
        text = json.dumps(
            {**beside, "about": about, "names": self._numbers.names(), "shown": shown}
        )
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")

    def load(self, saved: Any, about: str) -> bool:
        """Load saved versions; return False, and change nothing, if they are damaged or do not fit.

        Parameters
        ----------
        saved
            Content of the JSON file of `save`.
        about : str
            As for `save`.
        """
        try:
            if saved["about"] != about:
                return False
            names = [str(name) for name in saved["names"]]
            shown = {name: np.array(saved["shown"][name], dtype=np.int64) for name in self._shown}
            if any(
                shown[name].shape != now.shape or not np.isin(shown[name], range(len(names))).all()
                for name, now in self._shown.items()
            ):
                return False
        except (ValueError, KeyError, TypeError, OverflowError):
            return False
        renumbered = np.array([self._numbers.of(old) for old in names], dtype=np.int32)
        for name, numbers in shown.items():
            self._shown[name] = renumbered[numbers]
        self._compared.clear()
        return True


class _Numbers:
    """Numbers fingerprints; 0 is the empty one. Several threads may use it."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {"": 0}
        self._names: list[str] = [""]
        self._lock = threading.Lock()

    def of(self, name: str) -> int:
        number = self._of.get(name)
        if number is None:
            with self._lock:
                number = self._of.setdefault(name, len(self._names))
                if number == len(self._names):
                    self._names.append(name)
        return number

    def name(self, number: int) -> str:
        return self._names[number]

    def names(self) -> list[str]:
        return list(self._names)


class _Comparison:
    """The tiles of a map that differ from a target."""

    def __init__(self, target: Target, wanted: NDArray[np.int32], shown: NDArray[np.int32]) -> None:
        self.target = target
        self._wanted = wanted
        self.stale: NDArray[np.bool_] = (wanted != shown).any(axis=0)
        self.count = int(self.stale.sum())

    def look_at(self, tile: int, shown: NDArray[np.int32]) -> None:
        """Compare one tile again."""
        other = bool((self._wanted[:, tile] != shown[:, tile]).any())
        self.count += int(other) - int(self.stale[tile])
        self.stale[tile] = other

    def follows(self, target: Target, numbers: _Numbers, shown: NDArray[np.int32]) -> bool:
        """Change to a target with other clicks; return False if more than the clicks differs."""
        before = self.target
        if before.weights != target.weights or before.locks is not target.locks:
            return False
        old, new = before.clicks.by_tile, target.clicks.by_tile
        # After a click, the clicks of all other tiles are the same objects.
        changed = [tile for tile in old.keys() | new.keys() if old.get(tile) is not new.get(tile)]
        for tile in changed:
            self._wanted[1, tile] = numbers.of(target.clicks.digest(tile))
            self.look_at(tile, shown)
        self.target = target
        return True
