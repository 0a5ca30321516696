"""Settings that the user chose for an image, saved for later sessions."""

from __future__ import annotations

import json
from pathlib import Path

import platformdirs

from napari_disca.core.errors import DiscaError
from napari_disca.networks import Card
from napari_disca.raster import Raster, fingerprint
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json

#: Images remembered; the oldest are forgotten.
_LIMIT = 1000


def recall(raster: Raster, card: Card) -> float | None:
    """Resampling factor that was set by hand for this image and network, or None."""
    value = _read().get(_key(raster, card))
    return value if isinstance(value, float) and 1 / 64 <= value <= 32 else None


def remember(raster: Raster, card: Card, factor: float | None) -> None:
    """Keep a factor set by hand; None forgets it.

    That the folder of settings cannot be written is no reason to stop the work, so it is ignored.
    """
    kept = _read()
    before = kept.pop(_key(raster, card), None)
    if factor is not None:
        kept[_key(raster, card)] = float(factor)
    elif before is None:
        return
    try:
        with replacing(_file()) as temporary:
            temporary.write_text(json.dumps(dict(list(kept.items())[-_LIMIT:]), indent=0), "utf-8")
    except DiscaError:
        pass


def _file() -> Path:
    return Path(platformdirs.user_state_dir("napari-disca", appauthor=False)) / "factors.json"


def _key(raster: Raster, card: Card) -> str:
    return f"{fingerprint(raster)} {card.name}"


def _read() -> dict[str, float]:
    try:
        kept = load_json(_file(), most_bytes=1 << 20)
    except JsonError:
        return {}
    return kept if isinstance(kept, dict) else {}
