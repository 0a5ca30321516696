"""The kind of a band, from a colour, a sensor's band name or a wavelength that a file tells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from napari_disca.core.errors import shortened
from napari_disca.raster.base import Raster

#: Centre and range in nanometres of each kind of band.
_WAVELENGTHS: dict[str, tuple[float, float, float]] = {
    "coastal": (443, 400, 450),
    "blue": (480, 450, 520),
    "green": (560, 520, 600),
    "red": (660, 625, 695),
    "red edge": (717, 695, 760),
    "nir": (842, 760, 905),
    "swir 1": (1610, 1550, 1750),
    "swir 2": (2200, 2080, 2350),
}
_SENTINEL = {1: "coastal", 2: "blue", 3: "green", 4: "red", 5: "red edge", 6: "red edge"} | {
    7: "red edge",
    8: "nir",
    11: "swir 1",
    12: "swir 2",
}
_LANDSAT = {1: "coastal", 2: "blue", 3: "green", 4: "red", 5: "nir", 6: "swir 1", 7: "swir 2"}
_OLD_LANDSAT = {1: "blue", 2: "green", 3: "red", 4: "nir", 5: "swir 1", 7: "swir 2"}
_MODIS = {1: "red", 2: "nir", 3: "blue", 4: "green", 5: "other", 6: "swir 1", 7: "swir 2"}
_ASTER = {1: "green", 2: "red"}
#: Names of colours in other languages.
_ELSEWHERE = {
    **dict.fromkeys(("rot", "rouge", "rojo", "rosso", "vermelho", "rood"), "red"),
    **dict.fromkeys(("grün", "gruen", "vert", "verde", "groen"), "green"),
    **dict.fromkeys(("blau", "bleu", "azul", "blu", "blauw"), "blue"),
    **dict.fromkeys(("pir", "infrarot", "infrarouge", "infrarrojo", "infrarosso"), "nir"),
}
_LETTERS = {"r": "red", "g": "green", "b": "blue", "n": "nir", "nir": "nir", "re": "red edge"}
_NUMBER = r"(\d+(?:\.\d+)?)"
_LENGTH = re.compile(_NUMBER + r"\s*(nm|nanomet\w*|um|µm|μm|micromet\w*|microns?)\b", re.I)
#: A name with a wavelength, as MicaSense writes: "Red-668".
_WORD_LENGTH = re.compile(r"[a-z]\s*[-_ ](\d{3,4})\b", re.I)
_SENSOR_BAND = re.compile(r"(?:^|[^a-z0-9])(?:SR_)?B(\d{1,2})(A?)(?![a-z0-9])", re.I)
#: Names that only number the bands.
_COUNTED = re.compile(r"(band|layer|channel|page|b)?[ _-]?\d*", re.I)
_TAGS = ("wavelength", "central_wavelength", "center_wavelength", "centre_wavelength")


def band_kinds(
    descriptions: Sequence[str | None], tags: Sequence[Mapping[str, str]] = ()
) -> list[str]:
    """Return the kind of each band, ``""`` where the file does not tell it.

    Parameters
    ----------
    descriptions : sequence of str or None
        Per band.
    tags : sequence of mapping
        Metadata per band, from which wavelengths are read.
    """
    texts = [text or "" for text in descriptions]
    numbers = [(int(m[1]), m[2].upper()) if (m := _SENSOR_BAND.search(t)) else None for t in texts]
    table = _sensor(texts, [n for n in numbers if n is not None])
    lengths = _lengths(texts, tags)
    kinds = []
    for text, length, number in zip(texts, lengths, numbers, strict=True):
        by_number = ""
        if number is not None:
            by_number = "nir narrow" if number[1] else table.get(number[0], "")
        kinds.append(_by_length(length) or _by_word(text) or by_number)
    return _one_each(kinds, lengths)


def band_texts(
    descriptions: Sequence[str | None], tags: Sequence[Mapping[str, str]] = ()
) -> list[str]:
    """Return the name that a file gives each band, with its wavelength, in one short line each.

    Parameters
    ----------
    descriptions : sequence of str or None
        Per band.
    tags : sequence of mapping
        Metadata per band, from which wavelengths are read.
    """
    texts = [" ".join((description or "").split()) for description in descriptions]
    lines = []
    for text, length in zip(texts, _lengths(texts, tags), strict=True):
        if length is not None and f"{length:.0f}" not in text and not _LENGTH.search(text):
            text = f"{text}, {length:.4g} nm" if text else f"{length:.4g} nm"
        lines.append(shortened(text, 60))
    return lines


def band_title(raster: Raster, band: int) -> str:
    """Return the title of a band for the user: ``"4: red (B04, 665 nm)"``.

    Parameters
    ----------
    raster : Raster
    band : int
        From 1.
    """
    kind, text = raster.color_interp[band - 1], raster.descriptions[band - 1]
    if kind in ("undefined", "other") or (kind == "gray" and raster.count > 1):
        kind = ""
    if kind and text and kind.lower() != text.lower():
        return f"{band}: {kind} ({text})"
    return f"{band}: {kind or text}" if kind or text else f"{band}"


def band_names(kinds: Sequence[str], colours: Sequence[str]) -> list[str]:
    """Return the name of each band: its kind, else the colour that the file's format gives it.

    Programs write red, green and blue for any three bands, so if a kind contradicts one of these
    colours, all of them are ignored.

    Parameters
    ----------
    kinds : sequence of str
        See `band_kinds`.
    colours : sequence of str
        GDAL's colour interpretation.
    """
    three = {"red", "green", "blue"}
    doubtful = any(
        kind in three and colour in three - {kind}
        for kind, colour in zip(kinds, colours, strict=True)
    )
    return [
        kind or ("undefined" if colour == "alpha" or doubtful else colour)
        for kind, colour in zip(kinds, colours, strict=True)
    ]


def foreign_names(descriptions: Sequence[str | None], kinds: Sequence[str]) -> tuple[str, ...]:
    """Return a note for the user if bands have names, but no kind is known from them.

    Parameters
    ----------
    descriptions : sequence of str or None
        Per band of the file.
    kinds : sequence of str
        See `band_kinds`.
    """
    named = [text for text in descriptions if text and not _COUNTED.fullmatch(text.strip())]
    if len(named) < 2 or not {*kinds} <= {"gray", "undefined", "alpha", "other"}:
        return ()
    shown = ", ".join(" ".join(text.split())[:30] for text in named[:6])
    return (f"its bands are called {shown}, which tell no colour: used in the file's order",)


def _by_word(text: str) -> str:
    words = re.findall(r"[^\W\d_]+", text.lower().replace("rededge", "red edge"))
    words = [_ELSEWHERE.get(word, word) for word in words]
    joined = " ".join(words)
    if "edge" in words:
        return "red edge"
    if "coastal" in words or "aerosol" in words:
        return "coastal"
    if "swir" in words or "shortwave" in words or "thermal" in words or "lwir" in words:
        return "other"
    if {"nir", "infrared"} & {*words} or "near infra red" in joined:
        return "nir"
    colours = [c for c in ("red", "green", "blue") if c in words]
    if len(colours) == 1:
        # PlanetScope has a second green band, green_i.
        return f"{colours[0]} i" if "i" in words else colours[0]
    if len(words) == 1 and text.strip().lower() in _LETTERS:
        return _LETTERS[text.strip().lower()]
    return ""


def _lengths(texts: Sequence[str], tags: Sequence[Mapping[str, str]]) -> list[float | None]:
    """Wavelength of each band in nanometres, from its text or its metadata; None if unknown."""
    of_band = [*tags, *({},) * (len(texts) - len(tags))]
    return [_length(text, of_band[k]) for k, text in enumerate(texts)]


def _length(text: str, tags: Mapping[str, str]) -> float | None:
    """Wavelength of one band in nanometres; None if unknown."""
    if found := _LENGTH.search(text):
        return float(found[1]) * (1.0 if found[2].lower().startswith("n") else 1000.0)
    lower = {key.lower(): value for key, value in tags.items()}
    for key in (*_TAGS, *(f"{tag}_{unit}" for tag in _TAGS for unit in ("um", "nm"))):
        try:
            value = float(lower.get(key, "").split()[0])
        except (ValueError, IndexError):
            continue
        # No band is at 20 nm or less, so these are micrometres.
        return value * 1000 if value < 20 else value
    found = _WORD_LENGTH.search(text)
    return float(found[1]) if found else None


def _by_length(length: float | None) -> str:
    if length is None:
        return ""
    for kind, (_, low, high) in _WAVELENGTHS.items():
        if low <= length < high:
            return kind
    return "other"


def _sensor(texts: Sequence[str], numbers: Sequence[tuple[int, str]]) -> Mapping[int, str]:
    """Kinds by band number of the file's sensor: B5 is another band in each."""
    text = " ".join(texts)
    found = {number for number, _ in numbers}
    if re.search(r"sur_refl_b", text, re.I):
        return _MODIS
    if re.search(r"(?<![a-z0-9])B0?3[NB]\b", text):
        return _ASTER
    if re.search(r"\bSR_B", text, re.I):
        # Landsat 4, 5 and 7 have no SR_B6; their first is blue.
        return _OLD_LANDSAT if 1 in found and 6 not in found and 5 in found else _LANDSAT
    two_digits = re.search(r"(?<![a-z0-9])B0\d", text, re.I)
    if two_digits or found & {8, 9, 11, 12} or any(letter for _, letter in numbers):
        return _SENTINEL
    return _LANDSAT


def are_sentinel_bands(descriptions: Sequence[str]) -> bool:
    """Whether bands are named as Sentinel-2's are: ``B02``, ``B8A``, ``B11``.

    Parameters
    ----------
    descriptions : sequence of str
        Per band.
    """
    found = [m for text in descriptions if (m := _SENSOR_BAND.search(text)) is not None]
    numbers = [(int(m[1]), m[2].upper()) for m in found]
    return bool(numbers) and _sensor(descriptions, numbers) is _SENTINEL


def _one_each(kinds: Sequence[str], lengths: Sequence[float | None]) -> list[str]:
    """Return the kinds, each at one band: the one whose wavelength is nearest to its centre."""
    chosen: dict[str, int] = {}
    for k, kind in enumerate(kinds):
        if kind not in _WAVELENGTHS:
            continue
        centre = _WAVELENGTHS[kind][0]
        first = chosen.setdefault(kind, k)
        own, other = lengths[k], lengths[first]
        if own is not None and other is not None and abs(own - centre) < abs(other - centre):
            chosen[kind] = k
    return [
        "other" if kind in _WAVELENGTHS and chosen[kind] != k else kind
        for k, kind in enumerate(kinds)
    ]
