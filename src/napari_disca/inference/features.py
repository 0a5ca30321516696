"""What an encoder said about tiles, kept in half precision.

A tile without clicks has the same features as long as the encoder is the same. A recipe that
leaves the encoder alone changes only how they are decoded, which is a small part of the work.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

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
        self._limits = memory, disk
        self._held: OrderedDict[Key, Features] = OrderedDict()
        self._bytes = 0
        self._files: OrderedDict[Key, tuple[Path, int]] = OrderedDict()
        self._file_bytes = 0
        self._parent = folder
        self._folder: Path | None = None
        self._count = 0
        self._lock = threading.Lock()

    def __contains__(self, key: Key) -> bool:
        with self._lock:
            return key in self._held or key in self._files

    @property
    def disk(self) -> int:
        """Bytes that it may take on disk."""
        return self._limits[1]

    def get(self, key: Key) -> Features | None:
        """Features of a tile, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            kept = self._files.get(key)
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
        size = sum(layer.nbytes for layer in features)
        memory, _ = self._limits
        with self._lock:
            if key in self._held or size > memory:
                return
            # Of a whole batch a view would keep all of it.
            self._held[key] = tuple(_owned(layer) for layer in features)
            self._bytes += size
            while self._bytes > memory:
                old, layers = self._held.popitem(last=False)
                self._bytes -= sum(layer.nbytes for layer in layers)
                self._to_disk(old, layers)

    def _to_disk(self, key: Key, features: Features) -> None:
        _, disk = self._limits
        size = sum(layer.nbytes for layer in features)
        if size > disk:
            return
        if key in self._files:
            self._files.move_to_end(key)
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
            self._files[key] = path, size
            self._file_bytes += size
            self._trim_files()

    def allow_memory(self, limit: int) -> None:
        """Let it hold so many bytes in memory from now on; what is above them is forgotten."""
        with self._lock:
            self._limits = limit, self._limits[1]
            while self._bytes > limit:
                _, layers = self._held.popitem(last=False)
                self._bytes -= sum(layer.nbytes for layer in layers)

    def allow_disk(self, limit: int) -> None:
        """Let it take so many bytes on disk from now on; what is there above them goes."""
        with self._lock, suppress(OSError):
            self._limits = self._limits[0], limit
            self._trim_files()

    def _trim_files(self) -> None:
        while self._file_bytes > self._limits[1]:
            _, (gone, freed) = self._files.popitem(last=False)
            self._file_bytes -= freed
            gone.unlink(missing_ok=True)


def _owned(layer: Tensor) -> Tensor:
    own = layer.untyped_storage().nbytes() <= layer.nbytes
    return layer if own else layer.clone(memory_format=torch.preserve_format)
