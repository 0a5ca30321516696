"""Saves how the user had an image read, for later sessions."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_disca.core.errors import CardError, DiscaError
from napari_disca.inference.reading import Reading
from napari_disca.networks import Card
from napari_disca.raster import Raster, Scaling, fingerprint
from napari_disca.raster.values.value_scale import FillChoice, fill_choice, fill_text
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json

#: Most images; the oldest are removed.
_LIMIT = 1000


def recall(raster: Raster, card: Card) -> Reading | None:
    """Return how the user had this network read this image; None if nothing was chosen.

    Raises
    ------
    RasterError
        If the image's file is damaged.
    """
    saved = _read().get(_key(raster, card))
    reading = _reading({"factor": saved} if isinstance(saved, float) else saved)
    return None if reading == Reading() else reading


def remember(raster: Raster, card: Card, reading: Reading) -> None:
    """Save how an image is read; a reading without any choice removes what was saved.

    A scaling that comes from a journal is not saved here. A folder that cannot be written is
    ignored.
    """
    saved = _read()
    key = _key(raster, card)
    before = saved.pop(key, None)
    choices: dict[str, object] = {}
    if reading.factor is not None:
        choices["factor"] = float(reading.factor)
    if reading.bands is not None:
        choices["bands"] = list(reading.bands)
    if isinstance(reading.scaling, Scaling):
        choices["scaling"] = str(reading.scaling)
    if reading.find_fill is not True:
        choices["fill"] = fill_text(reading.find_fill)
    if choices:
        saved[key] = choices
    elif before is None:
        return
    try:
        with replacing(_file()) as temporary:
            temporary.write_text(json.dumps(dict(list(saved.items())[-_LIMIT:]), indent=0), "utf-8")
    except DiscaError:
        pass


def _reading(saved: object) -> Reading:
    """Return the reading that was saved; damaged fields are ignored."""
    if not isinstance(saved, dict):
        return Reading()
    factor, bands = saved.get("factor"), saved.get("bands")
    is_factor = isinstance(factor, int | float) and 1 / 64 <= factor <= 32
    are_bands = isinstance(bands, list) and bands and all(type(b) is int and b > 0 for b in bands)
    scaling: Scaling | None = None
    fill: FillChoice = True
    with suppress(CardError):
        scaling = Scaling.parse(text) if isinstance(text := saved.get("scaling"), str) else None
    with suppress(CardError):
        fill = fill_choice(text) if isinstance(text := saved.get("fill"), str) else True
    return Reading(
        tuple(bands) if are_bands else None,  # type: ignore[arg-type]  # a list of integers
        float(factor) if is_factor else None,  # type: ignore[arg-type]  # a number
        scaling,
        fill,
    )


def _file() -> Path:
    return Path(platformdirs.user_state_dir("napari-disca", appauthor=False)) / "factors.json"


def _key(raster: Raster, card: Card) -> str:
    return f"{fingerprint(raster)} {card.name}"


def _read() -> dict[str, object]:
    try:
        saved = load_json(_file(), most_bytes=1 << 20)
    except JsonError:
        return {}
    return saved if isinstance(saved, dict) else {}
