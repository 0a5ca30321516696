"""Signatures of files: size, time and inode, and digests of a few pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path

Signature = tuple[int, int, int]


def signature(path: Path) -> Signature:
    """Return size, time of the last change (ns) and inode of a file.

    Raises
    ------
    OSError
        If there is no such file.
    """
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


#: Number of sampled pieces of a file, and bytes of each.
_PIECES, _BYTES = 32, 4096


def byte_sample(path: Path, size: int) -> tuple[str, ...]:
    """Return digests of pieces of a file, evenly spread over its first `size` bytes.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    last = max(0, size - _BYTES)
    digests = []
    with path.open("rb") as file:
        for start in sorted({last * k // (_PIECES - 1) for k in range(_PIECES)}):
            file.seek(start)
            digests.append(hashlib.blake2b(file.read(_BYTES), digest_size=8).hexdigest())
    return tuple(digests)
