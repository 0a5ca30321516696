"""A folder in which a session keeps its maps for the next one.

The folder is the user's. A file in it is overwritten or removed only if the folder's index says
that it was made here; where something else is in the way, the folder is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_disca.core.errors import ExportError
from napari_disca.session.tile_versions import TileVersions
from napari_disca.storage.atomic import replacing

#: Says which files of a folder are a session's, and what their maps show.
INDEX = "napari-disca-maps.json"
_KIND = {"napari-disca": "maps"}


class MapFolder:
    """The maps that a session keeps in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    maps : iterable of str
        Every map has a folder of its name in it.
    files : iterable of str
        Names of the files that a map may have.

    Raises
    ------
    ExportError
        If something that was not made here is in the way, or the folder cannot be written.
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
        """Let `versions` know what the maps there show; maps of something else are removed.

        Until `close` the folder does not say what its maps show: should this session end without
        a word, what it painted over must not be believed.

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
        """Write down what the maps show, for the next session.

        Raises
        ------
        ExportError
            If the file cannot be written.
        """
        versions.save(self._index, about, **_KIND, files=self._files)

    def _read(self) -> Mapping[str, Any]:
        """What the index says; empty if there is none."""
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
    """Whether a name of the index is a file one folder down, as it was written."""
    if not isinstance(file, str):
        return False
    parts = Path(file).parts
    return len(parts) == 2 and not Path(file).is_absolute() and ".." not in parts
