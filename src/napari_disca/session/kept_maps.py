"""Keeps the maps of a session in a folder for the next one.

The folder belongs to the user. A file is overwritten or removed only if the folder's index lists
it; if another file has a needed name, the folder is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_disca.core.errors import ExportError
from napari_disca.session.tile_versions import TileVersions
from napari_disca.storage.atomic import replacing

#: Name of the index, which lists the files of the session and the versions of the maps.
INDEX = "napari-disca-maps.json"
_KIND = {"napari-disca": "maps"}


class MapFolder:
    """The folder in which a session keeps its maps.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    maps : iterable of str
        Names of the maps; each has a folder of its name.
    files : iterable of str
        Names that the files of a map may have.

    Raises
    ------
    ExportError
        If another file has a needed name, or the folder cannot be written.
    """

    def __init__(self, folder: Path, maps: Iterable[str], files: Iterable[str]) -> None:
        self._folder = folder
        self._index = folder / INDEX
        names = list(files)
        self._files = [f"{name}/{file}" for name in maps for file in names]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._saved = self._read()
            ours = set(self._saved.get("files", ()))
            for file in self._files:
                if file not in ours and (folder / file).exists():
                    raise ExportError(self._refusal(folder / file))
            for name in dict.fromkeys(file.partition("/")[0] for file in self._files):
                place = folder / name
                if (
                    not self._saved
                    and place.exists()
                    and (not place.is_dir() or any(place.iterdir()))
                ):
                    raise ExportError(self._refusal(place))
        except OSError as error:
            raise ExportError(f"cannot keep maps in {folder}: {error.strerror or error}") from error

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
        try:
            if not versions.load(self._saved, about):
                for file in self._saved.get("files", ()):
                    (self._folder / file).unlink(missing_ok=True)
            with replacing(self._index) as temporary:
                temporary.write_text(json.dumps({**_KIND, "files": self._files}), "utf-8")
        except OSError as error:
            raise ExportError(
                f"cannot keep maps in {self._folder}: {error.strerror or error}"
            ) from error

    def close(self, versions: TileVersions, about: str) -> None:
        """Write the versions of the maps for the next session.

        Raises
        ------
        ExportError
            If the file cannot be written.
        """
        versions.save(self._index, about, **_KIND, files=self._files)

    def _read(self) -> Mapping[str, Any]:
        """Return the content of the index; empty without one."""
        if not self._index.exists():
            return {}
        try:
            saved = json.loads(self._index.read_text("utf-8"))
            known = isinstance(saved, dict) and saved.items() >= _KIND.items()
        except (ValueError, RecursionError):
            known = False
        if not known:
            raise ExportError(self._refusal(self._index))
        files = saved.get("files")
        if not isinstance(files, list) or not all(map(_is_inside, files)):
            raise ExportError(self._refusal(self._index))
        return dict(saved)

    def _refusal(self, found: Path) -> str:
        return (
            f"maps cannot be kept in {self._folder}: {found} was not made by napari-disca and "
            "would be lost; choose another folder, or a new one in it"
        )


def _is_inside(file: Any) -> bool:
    """Whether a name of the index is a file in a folder of the folder, as the index writes it."""
    if not isinstance(file, str):
        return False
    parts = Path(file).parts
    return len(parts) == 2 and not Path(file).is_absolute() and ".." not in parts
