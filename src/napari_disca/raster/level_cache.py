"""A disk cache for the levels of image pyramids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.storage.cache_folder import CacheFolder
from napari_disca.storage.jsonfile import parse_json

_HEADER = 4096
_SUFFIX = ".levels"


class LevelCache:
    """Finished levels on disk, which are memory-mapped when they are used.

    Parameters
    ----------
    folder : Path, optional
        By default in the user's cache folder.
    limit : int
        Bytes of all files together.
    """

    def __init__(self, folder: Path | None, limit: int) -> None:
        self._files = CacheFolder("levels", _SUFFIX, limit, folder)

    def get(
        self, key: str, wanted: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]
    ) -> list[NDArray[Any]] | None:
        """Return levels of these shapes and types, mapped read-only; None if not in the cache."""
        path = self._files.file(key)
        sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in wanted]
        try:
            with path.open("rb") as file:
                header = parse_json(file.read(_HEADER))
            expected = _description(wanted)
            if header != expected or path.stat().st_size != _HEADER + sum(sizes):
                return None
            self._files.used(key)
            offsets = _HEADER + np.cumsum([0, *sizes[:-1]])
            return [
                np.memmap(path, dtype=dtype, mode="r", offset=int(offset), shape=shape)
                for (shape, dtype), offset in zip(wanted, offsets, strict=True)
            ]
        except (OSError, ValueError):
            return None

    def put(self, key: str, levels: Sequence[NDArray[Any]]) -> None:
        """Write levels, unless they are larger than the limit of the cache."""
        header = json.dumps(_description([(a.shape, a.dtype) for a in levels])).encode()

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                file.write(header.ljust(_HEADER))
                for level in levels:
                    file.write(np.ascontiguousarray(level).data)

        self._files.put(key, sum(level.nbytes for level in levels), write)


def _description(levels: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> dict[str, Any]:
    return {"version": 1, "levels": [[list(shape), dtype.str] for shape, dtype in levels]}
