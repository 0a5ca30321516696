"""Small JSON files in the user's state folder, which are written on another thread.

Writing waits for the disk (fsync), which can take seconds.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from napari_disca.core.errors import DiscaError
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json, parse_json

_lock = threading.Lock()
#: Held while a file is written, so that an older text does not replace a newer one.
_writing = threading.Lock()
#: Texts that are not written yet.
_waiting: dict[Path, str] = {}
_threads: set[threading.Thread] = set()


class StateFile:
    """A small JSON file in the user's state folder.

    Parameters
    ----------
    name : str
    most_bytes : int
        A larger file is not read.
    """

    def __init__(self, name: str, most_bytes: int) -> None:
        self._name, self._most_bytes = name, most_bytes

    @property
    def path(self) -> Path:
        """The file."""
        folder = platformdirs.user_state_dir("napari-disca", appauthor=False)
        return Path(folder) / self._name

    def read(self) -> Any:
        """Return the value that was written last; None if the file cannot be read."""
        with _lock:
            text = _waiting.get(self.path)
        if text is not None:
            return parse_json(text)
        try:
            return load_json(self.path, most_bytes=self._most_bytes)
        except JsonError:
            return None

    def write(self, value: Any) -> None:
        """Write a value on another thread; a folder that cannot be written is ignored."""
        path = self.path
        thread = threading.Thread(target=_write, args=(path,), name="napari-disca-state")
        with _lock:
            _waiting[path] = json.dumps(value)
            _threads.add(thread)
        thread.start()


def wait_until_written() -> None:
    """Wait until all state files are written."""
    with _lock:
        threads = list(_threads)
    for thread in threads:
        thread.join()


def _write(path: Path) -> None:
    with _writing:
        with _lock:
            text = _waiting.get(path)
        if text is not None:
            with suppress(DiscaError, OSError), replacing(path) as temporary:
                temporary.write_text(text, "utf-8")
        with _lock:
            if _waiting.get(path) == text:
                _waiting.pop(path, None)
            _threads.discard(threading.current_thread())
