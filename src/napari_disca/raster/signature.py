"""What stands for a file's content without reading it."""

from __future__ import annotations

from pathlib import Path

Signature = tuple[int, int, int]


def signature(path: Path) -> Signature:
    """Size, time of the last change (ns) and inode of a file.

    Raises
    ------
    OSError
        If there is no such file.
    """
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
