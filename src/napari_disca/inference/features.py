"""What an encoder said about tiles, kept in half precision.

A tile without clicks has the same features as long as the encoder is the same. A recipe that
leaves the encoder alone changes only how they are decoded, which is a small part of the work.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_disca.core.byte_cache import ByteCache
from napari_disca.networks import Features
from napari_disca.storage.scratch import remove_scratch_folder, scratch_folder

#: Fingerprint of the encoder, and index of the tile.
Key: TypeAlias = tuple[str, int]


def halved(features: Features, dtype: torch.dtype) -> Features:
    """Features in half precision: as the forward pass has them, or in float16 after float32."""
    half = torch.float16 if dtype == torch.float32 else dtype
    most = torch.finfo(half).max
    return tuple(f.clamp(-most, most).to(half) if f.dtype != half else f for f in features)


class FeatureCache:
    """Features by encoder and tile; the least recently used are forgotten first.

    Nothing is held until something is put. May be used from several threads.

    Parameters
    ----------
    memory : int
        Bytes held in memory at most.
    disk : int
        Bytes that what memory forgets may take on disk; 0: it is forgotten for good.
    folder : Path, optional
        Where; a folder of the user's cache by default. What was put there goes with the cache.
    """

    def __init__(self, memory: int = 512 << 20, disk: int = 0, folder: Path | None = None) -> None:
        self._held: ByteCache[Key, Features] = ByteCache(memory, _nbytes)
        self._files: ByteCache[Key, tuple[Path, int]] = ByteCache(disk, lambda file: file[1])
        self._parent = folder
        self._folder: Path | None = None
        self._count = 0
        self._lock = threading.Lock()

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._held or key in self._files

    @property
    def memory(self) -> int:
        """Bytes that it may hold in memory."""
        return int(self._held.limit)

    @property
    def disk(self) -> int:
        """Bytes that it may take on disk."""
        return int(self._files.limit)

    def get(self, key: Key) -> Features | None:
        """Features of a tile, or None."""
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                return held
            # In memory now, it is the first on disk to go.
            kept = self._files.peek(key)
        if kept is None:
            return None
        try:
            layers = load_file(kept[0])
        except (OSError, SafetensorError):  # somebody has cleaned the folder
            return None
        features = tuple(layers[str(i)] for i in range(len(layers)))
        self.put(key, features)
        return features

    def put(self, key: Key, features: Features) -> None:
        """Keep features of a tile, if there is room for as much at all."""
        with self._lock:
            if key in self._held or _nbytes(features) > self._held.limit:
                return
            # Of a whole batch a view would keep all of it.
            for old, layers in self._held.put(key, tuple(_owned(layer) for layer in features)):
                self._to_disk(old, layers)

    def _to_disk(self, key: Key, features: Features) -> None:
        size = _nbytes(features)
        if self._files.get(key) is not None or size > self._files.limit:
            return
        # A disk that is full or read-only makes it a cache in memory only.
        with suppress(OSError, SafetensorError):
            if self._folder is None:
                self._folder = (
                    scratch_folder("feature")
                    if self._parent is None
                    else Path(tempfile.mkdtemp(prefix="napari-disca-features-", dir=self._parent))
                )
                weakref.finalize(self, remove_scratch_folder, self._folder)
            path = self._folder / f"{self._count}.safetensors"
            self._count += 1
            # Channels last is a matter of strides, which the file does not know.
            save_file({str(i): layer.contiguous() for i, layer in enumerate(features)}, path)
            _remove(self._files.put(key, (path, size)))

    def allow_memory(self, limit: int) -> None:
        """Let it hold so many bytes in memory from now on; what is above them is forgotten."""
        with self._lock:
            self._held.set_limit(limit)

    def allow_disk(self, limit: int) -> None:
        """Let it take so many bytes on disk from now on; what is there above them goes."""
        with self._lock, suppress(OSError):
            _remove(self._files.set_limit(limit))


def _nbytes(features: Features) -> int:
    return sum(layer.nbytes for layer in features)


def _remove(files: Iterable[tuple[Key, tuple[Path, int]]]) -> None:
    for _, (path, _size) in files:
        path.unlink(missing_ok=True)


def _owned(layer: Tensor) -> Tensor:
    own = layer.untyped_storage().nbytes() <= layer.nbytes
    return layer if own else layer.clone(memory_format=torch.preserve_format)
