"""With which weights and clicks every tile of every map was drawn."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import DiscaError
from napari_disca.inference.predict import TileClicks
from napari_disca.storage.atomic import replacing


class TileVersions:
    """The state of every tile of some maps, as `TileClicks.state` words it.

    Kept as arrays of small numbers, so that what is out of date is found in microseconds however
    many tiles there are.

    Parameters
    ----------
    maps : iterable of str
    tiles : int
        Number of tiles of each map.
    """

    def __init__(self, maps: Iterable[str], tiles: int) -> None:
        # Number of every fingerprint; 0: nothing. Grows only, so copies may share it.
        self._numbers: dict[str, int] = {"": 0}
        self._names: list[str] = [""]
        self._lock = threading.Lock()
        #: Map -> (weights, clicks) of each tile.
        self._drawn = {name: np.zeros((2, tiles), dtype=np.int64) for name in maps}

    def copy(self) -> Self:
        """As it is now; what is drawn later does not change it."""
        copy = type(self)((), 0)
        copy._numbers, copy._names, copy._lock = self._numbers, self._names, self._lock
        copy._drawn = {name: drawn.copy() for name, drawn in self._drawn.items()}
        return copy

    def get(self, name: str, tile: int) -> str | None:
        """State of a tile; None if it was never drawn."""
        weights, clicks = (self._names[number] for number in self._drawn[name][:, tile])
        return (f"{weights}+{clicks}" if clicks else weights) or None

    def put(self, name: str, tile: int, state: str) -> None:
        """Note what a tile was drawn with."""
        weights, _, clicks = state.partition("+")
        self._drawn[name][:, tile] = self._number(weights), self._number(clicks)

    def drawn(self, name: str) -> NDArray[np.bool_]:
        """Which tiles of a map show something."""
        shown: NDArray[np.bool_] = self._drawn[name][0] > 0
        return shown

    def stale(
        self,
        name: str,
        weights: str,
        clicks: TileClicks,
        locked: Mapping[int, str] | None = None,
    ) -> NDArray[np.bool_]:
        """Which tiles of a map show something else than these weights and clicks, or nothing.

        Parameters
        ----------
        locked : mapping of int to str, optional
            States that some tiles should have instead, because of what is locked there.
        """
        other: NDArray[np.bool_] = self._drawn[name][0] != self._number(weights)
        other = other | self.touched(name, clicks)
        for tile, state in (locked or {}).items():
            other[tile] = self.get(name, tile) != state
        return other

    def touched(self, name: str, clicks: TileClicks) -> NDArray[np.bool_]:
        """Which tiles of a map show other clicks than these: they want to be answered first."""
        wanted = np.zeros(self._drawn[name].shape[1], dtype=np.int64)
        for tile, digest in clicks.digests.items():
            wanted[tile] = self._number(digest)
        other: NDArray[np.bool_] = self._drawn[name][1] != wanted
        return other

    def _number(self, name: str) -> int:
        with self._lock:  # a job's thread asks too
            if name not in self._numbers:
                self._numbers[name] = len(self._names)
                self._names.append(name)
            return self._numbers[name]

    def save(self, path: Path, about: str) -> None:
        """Write them as JSON.

        Parameters
        ----------
        about : str
            Fingerprint of everything else that the labels depend on.

        Raises
        ------
        ExportError
            If the file cannot be written.
        """
        drawn = {name: numbers.tolist() for name, numbers in self._drawn.items()}
        with replacing(path) as temporary:
            temporary.write_text(
                json.dumps({"about": about, "names": self._names, "drawn": drawn}), "utf-8"
            )

    def load(self, path: Path, about: str) -> bool:
        """Take over what was saved; False, and nothing, if it is not there or of something else."""
        try:
            saved = json.loads(path.read_text("utf-8"))
            if saved["about"] != about:
                return False
            names = [str(name) for name in saved["names"]]
            drawn = {name: np.array(saved["drawn"][name], dtype=np.int64) for name in self._drawn}
            if any(
                drawn[name].shape != now.shape or not np.isin(drawn[name], range(len(names))).all()
                for name, now in self._drawn.items()
            ):
                return False
        except (OSError, ValueError, KeyError, TypeError, RecursionError, DiscaError):
            return False
        for name, numbers in drawn.items():
            renumbered = np.array([self._number(old) for old in names])
            self._drawn[name] = renumbered[numbers]
        return True
