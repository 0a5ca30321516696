"""Cache of an encoder's features of tiles, in half precision.

The features of a tile without clicks change only with the encoder. After a recipe that does not
train the encoder they only have to be decoded again, which is a small part of the work.
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

#: Fingerprint of what the features depend on, for instance the encoder, and index of the tile.
Key: TypeAlias = tuple[str, int]


def to_half(features: Features, dtype: torch.dtype) -> Features:
    """Features in the half precision of the forward pass, or in float16 after float32."""
    half = torch.float16 if dtype == torch.float32 else dtype
    most = torch.finfo(half).max
    return tuple(f.clamp(-most, most).to(half) if f.dtype != half else f for f in features)


class FeatureCache:
    """Features by fingerprint and tile; the least recently used are evicted first.

    Safe to use from several threads.

    Parameters
    ----------
    memory : int
        Most bytes in memory.
    disk : int
        Most bytes on disk, where features go that are evicted from memory; 0: none go there.
    folder : Path, optional
        Where the files go; by default in the user's cache. They are removed with the cache.
    """

    def __init__(self, memory: int = 512 << 20, disk: int = 0, folder: Path | None = None) -> None:
        self._in_memory: ByteCache[Key, Features] = ByteCache(memory, _nbytes)
        self._files: ByteCache[Key, tuple[Path, int]] = ByteCache(disk, lambda file: file[1])
        self._parent = folder
        self._folder: Path | None = None
        self._count = 0
        self._lock = threading.Lock()

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._in_memory or key in self._files

    @property
    def memory(self) -> int:
        """Most bytes in memory."""
        return int(self._in_memory.limit)

    @property
    def disk(self) -> int:
        """Most bytes on disk."""
        return int(self._files.limit)

    def get(self, key: Key) -> Features | None:
        """Return the features of a key, from memory or from disk; None if they are in neither."""
        with self._lock:
            in_memory = self._in_memory.get(key)
            if in_memory is not None:
                return in_memory
            # Not marked as used: it goes into memory now, so its file may be evicted first.
            on_disk = self._files.peek(key)
        if on_disk is None:
            return None
        try:
            layers = load_file(on_disk[0])
        except (OSError, SafetensorError):  # the file was removed by somebody else
            return None
        features = tuple(layers[str(i)] for i in range(len(layers)))
        self.put(key, features)
        return features

    def put(self, key: Key, features: Features) -> None:
        """Add features, unless they alone are larger than the limit of the memory."""
        with self._lock:
            if key in self._in_memory or _nbytes(features) > self._in_memory.limit:
                return
            # Copied where they are views: a view would keep the whole batch in memory.
            for old, layers in self._in_memory.put(key, tuple(_owned(layer) for layer in features)):
                self._to_disk(old, layers)

    def _to_disk(self, key: Key, features: Features) -> None:
        size = _nbytes(features)
        if self._files.get(key) is not None or size > self._files.limit:
            return
        # Without a disk that can be written (full, read-only), it is a cache in memory only.
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
            # The file format has no strides, so channels-last tensors are copied.
            save_file({str(i): layer.contiguous() for i, layer in enumerate(features)}, path)
            _remove(self._files.put(key, (path, size)))

    def allow_memory(self, limit: int) -> None:
        """Change the limit of the memory in bytes; features above it are dropped."""
        with self._lock:
            self._in_memory.set_limit(limit)

    def allow_disk(self, limit: int) -> None:
        """Change the limit of the disk in bytes; files above it are removed."""
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
