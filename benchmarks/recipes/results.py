"""The figures of a regime in a file, to which a measurement adds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from napari_disca.core.errors import DataError
from napari_disca.evaluation import Record
from napari_disca.evaluation.records import without_nan
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import load_json

#: One file per regime and mode.
FOLDER = Path(__file__).parent / "results"


@dataclass
class Results:
    """What was measured of one regime, one click mode and one network.

    Attributes
    ----------
    path : Path
    network : str
        Name and fingerprint.
    settings : str
        What else the figures depend on.
    machine : str
        Where and when it is measured now.
    recipes : dict of str to str
        Name -> fields, as they were when it was measured.
    measured : dict of str to str
        Name -> machine and day of its last figures.
    records : list of Record
        Without the places of the clicks.
    """

    path: Path
    network: str
    settings: str
    machine: str = ""
    recipes: dict[str, str] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file.

        Raises
        ------
        DataError
            If it is not one of these files.
        """
        try:
            found = load_json(path)
            rows = [
                {
                    **row,
                    "miou": tuple(row["miou"]),
                    "disir": tuple(row.get("disir", ())),
                    "placed": (),
                }
                for row in found["records"]
            ]
            records = [Record(**row) for row in rows]
            return cls(path, **{k: v for k, v in found.items() if k != "records"}, records=records)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} holds no figures of this study: {error!r}") from error

    @classmethod
    def opened(cls, path: Path, network: str, settings: str, machine: str) -> Results:
        """Those of a file to go on with, or new ones.

        Raises
        ------
        DataError
            If the file's figures are of another network or other settings.
        """
        if not path.exists():
            return cls(path, network, settings, machine)
        results = cls.load(path)
        for was, now in ((results.network, network), (results.settings, settings)):
            if was != now:
                raise DataError(
                    f"{path} was measured with {was}, not with {now}; move it away, or give "
                    "another file with --json"
                )
        results.machine = machine
        return results

    def keep_up(self, recipes: Mapping[str, object], again: frozenset[str] = frozenset()) -> None:
        """Forget the figures of recipes whose fields are others by now, and of those in `again`."""
        for name, recipe in recipes.items():
            if self.recipes.get(name) != repr(recipe) or name in again:
                self.records = [r for r in self.records if r.recipe != name]
                self.recipes[name] = repr(recipe)

    @property
    def finished(self) -> set[tuple[str, str]]:
        """Image and recipe of each record."""
        return {(r.image, r.recipe) for r in self.records}

    def add(self, record: Record) -> None:
        """Add a record and write the file, which is complete at any time."""
        self.records.append(replace(record, placed=()))
        self.measured[record.recipe] = self.machine
        self.write()

    def write(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [without_nan(_rounded(asdict(r))) for r in self.records]
        for row in rows:
            del row["placed"]
        head = {k: getattr(self, k) for k in ("network", "settings", "recipes", "measured")}
        text = json.dumps(head, indent=1)[:-2]
        lines = ",\n".join(json.dumps(row) for row in rows)
        with replacing(self.path) as temporary:
            temporary.write_text(f'{text},\n "records": [\n{lines}\n]\n}}\n', encoding="utf-8")


def _rounded(value: object) -> object:
    """Five digits tell more than the measurement does."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value
