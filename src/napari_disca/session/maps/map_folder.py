"""Keeps the maps of a session in a folder for the next one.

The folder belongs to the user. A file is overwritten or removed only if the folder's index lists it
with the size that it has; if another file has a needed name, the folder is refused.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock

from napari_disca.core.errors import ExportError
from napari_disca.session.maps.tile_versions import TileVersions
from napari_disca.storage.atomic import replacing

#: Name of the index, which lists the files of the session and the versions of the maps.
INDEX = "napari-disca-maps.json"
_LOCK = f".{INDEX}.lock"
_KIND = {"napari-disca": "maps"}


class MapFolder:
    """The folder in which a session keeps its maps; no other session may use it meanwhile.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    maps : iterable of str
        Names of the maps; each has a folder of its name.
    files : mapping of str to int
        Names of the files of a map, and their sizes in bytes.

    Raises
    ------
    ExportError
        If another file has a needed name, another session uses the folder, or it cannot be written.
    """

    def __init__(self, folder: Path, maps: Iterable[str], files: Mapping[str, int]) -> None:
        self._folder = folder
        self._index = folder / INDEX
        self._maps = tuple(maps)
        self._files = {f"{name}/{file}": files[file] for name in self._maps for file in files}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            try:
                self._saved = self._read()
                self._check_names()
            except BaseException:
                self.release()
                raise
        except OSError as error:
            raise self._failed(error) from error

    def take_over(self, versions: TileVersions, about: str) -> None:
        """Fill `versions` with the versions of the kept maps; maps that do not fit are removed.

        Until `close` the folder holds no versions: if this session is killed, the versions of
        painted tiles would be wrong.

        Parameters
        ----------
        versions : TileVersions
        about : str
            Fingerprint of everything else that the labels depend on.

        Raises
        ------
        ExportError
            If the folder cannot be written.
        """
        listed: Mapping[str, int] = self._saved.get("files", {})
        ours = [file for file, size in listed.items() if self._is_ours(file, size)]
        # Labels of a file that is missing or empty are lost, whatever their versions.
        complete = listed == self._files and all(
            file in ours and (self._folder / file).stat().st_size for file in listed
        )
        try:
            if not complete or not versions.load(self._saved, about):
                for file in ours:
                    (self._folder / file).unlink(missing_ok=True)
            with replacing(self._index) as temporary:
                temporary.write_text(json.dumps({**_KIND, "files": self._files}), "utf-8")
        except OSError as error:
            raise self._failed(error) from error

    def close(self, versions: TileVersions, about: str) -> None:
        """Write the versions of the maps for the next session, and let it use the folder.

        Raises
        ------
        ExportError
            If the file cannot be written.
        """
        try:
            versions.save(self._index, about, **_KIND, files=self._files)
        finally:
            self.release()

    def release(self) -> None:
        """Let other sessions use the folder."""
        # While it is still locked, so that nobody locks a file that is then removed. Windows
        # removes it only afterwards.
        file = self._folder / _LOCK
        with suppress(OSError):
            file.unlink(missing_ok=True)
        self._lock.release(force=True)

    def _locked(self) -> filelock.BaseFileLock:
        file = self._folder / _LOCK
        if os.path.lexists(file) and (file.is_symlink() or file.stat().st_size):
            raise ExportError(self._refusal(file))  # locking would empty it
        lock = filelock.FileLock(file, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise ExportError(
                f"another session keeps its maps in {self._folder}; close it, or choose another "
                "folder"
            ) from None
        except NotImplementedError:
            pass  # a file system without locks
        return lock

    def _check_names(self) -> None:
        """Raise an error if a needed name belongs to a file of the user."""
        listed: Mapping[str, int] = self._saved.get("files", {})
        for name in self._maps:
            place = self._folder / name
            if not os.path.lexists(place):
                continue
            if place.is_symlink() or not place.is_dir():
                raise ExportError(self._refusal(place))
            if not self._saved and any(place.iterdir()):
                raise ExportError(self._refusal(next(place.iterdir())))
        for file in self._files:
            if os.path.lexists(self._folder / file) and not (
                file in listed and self._is_ours(file, listed[file])
            ):
                raise ExportError(self._refusal(self._folder / file))

    def _is_ours(self, file: str, size: int) -> bool:
        """Whether a file is the one that the index lists, as far as its kind and size tell."""
        path = self._folder / file
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            return False
        # A session that was killed may have left an empty file.
        return path.stat().st_size in (0, size)

    def _read(self) -> Mapping[str, Any]:
        """Return the content of the index; empty without one."""
        if not os.path.lexists(self._index):
            return {}
        if self._index.is_symlink():
            raise ExportError(self._refusal(self._index))
        try:
            saved = json.loads(self._index.read_text("utf-8"))
            ours = isinstance(saved, dict) and saved.items() >= _KIND.items()
        except (ValueError, RecursionError):
            ours = False
        if not ours:
            raise ExportError(self._refusal(self._index))
        files = saved.get("files")
        if not isinstance(files, dict) or not all(
            self._is_name(file) and type(size) is int for file, size in files.items()
        ):
            raise ExportError(self._refusal(self._index))
        return dict(saved)

    def _is_name(self, file: str) -> bool:
        """Whether the name of a file in the index is one that a session gives."""
        name, _, level = file.partition("/")
        return name in self._maps and re.fullmatch(r"level\d+", level, re.ASCII) is not None

    def _refusal(self, found: Path) -> str:
        return (
            f"maps cannot be kept in {self._folder}: {found} was not made by napari-disca and "
            "would be lost; choose another folder, or a new one in it"
        )

    def _failed(self, error: OSError) -> ExportError:
        if isinstance(error, ExportError):
            return error
        return ExportError(f"cannot keep maps in {self._folder}: {error.strerror or error}")
