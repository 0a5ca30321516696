"""A network's `Card`: its classes, bands, scaling and more, JSON in the safetensors header."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_disca.annotations.guidance import Guidance
from napari_disca.core.errors import CardError, ClickError, shortened
from napari_disca.raster.values.scaling import Scaling
from napari_disca.storage.jsonfile import JsonError, parse_json

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_MAX_CLASSES = 64
_MAX_BANDS = 64
_LARGEST = 3.4e38
#: Most characters of a name, which is shown in lists and written into files.
_LONGEST = 200
#: Most characters of a file that a message quotes.
_QUOTED = 300


def _finite(value: object) -> bool:
    """Whether a value is a number that single precision can hold."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < _LARGEST  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LandClass:
    """A class of the map: its name, and its colour as ``#rrggbb``.

    Raises
    ------
    CardError
        If there is no name, or it is too long, or the colour is not one.
    """

    name: str
    color: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise CardError(f"a class needs a name, not {self.name!r}")
        if len(self.name) > _LONGEST:
            raise CardError(f"a class has a name of {len(self.name)} characters; {_LONGEST} work")
        if not isinstance(self.color, str) or not _COLOUR.fullmatch(self.color):
            raise CardError(f"colour {self.color!r} of class {self.name!r} is not like '#d73027'")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


@dataclass(frozen=True)
class Card:
    """What a network predicts, what it reads, and what it was trained on.

    Parameters
    ----------
    name : str
        Short name, for instance ``"landcover-5"``.
    architecture : str
        Key of `napari_disca.networks.ARCHITECTURES`.
    options : mapping of str to str, int, float, bool, None, or tuple of these
        Arguments of the architecture, for instance ``{"encoder": "resnet18"}``.
    classes : tuple of LandClass
        Class ``i`` is the map's value ``i``.
    bands : tuple of str
        Kind of each input band, in order, for instance ``("red", "green", "blue")``.
    scaling : Scaling
        How pixel values become network input.
    mean, std : tuple of float
        Per band, of scaled values; the network standardises its input with them. Pixels without
        data are set to the mean.
    ground_resolution : float or None
        Metres per pixel of the training images; None if that varies or is not known.
    guidance : Guidance
        How clicks are drawn for it.
    training_data, licence : str
        The data it was trained on, with attribution, and the licence of the weights.
    figures : mapping of str to float
        Measured accuracy, for instance ``{"miou_before": 0.6}``.

    Raises
    ------
    CardError
        If a field has an invalid value.
    """

    name: str
    architecture: str
    classes: tuple[LandClass, ...]
    bands: tuple[str, ...] = ("red", "green", "blue")
    options: Mapping[str, Any] = field(default_factory=dict)
    scaling: Scaling = field(default_factory=Scaling)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    ground_resolution: float | None = None
    guidance: Guidance = field(default_factory=Guidance)
    training_data: str = ""
    licence: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_types()
        if not self.name:
            raise CardError("a card needs a name")
        if len(self.name) > _LONGEST:
            raise CardError(f"a card has a name of {len(self.name)} characters; {_LONGEST} work")
        if not 2 <= len(self.classes) <= _MAX_CLASSES:
            raise CardError(
                f"card {self.name!r} has {len(self.classes)} classes; 2 to {_MAX_CLASSES} work"
            )
        names = [c.name for c in self.classes]
        if len(set(names)) < len(names):
            raise CardError(f"card {self.name!r} names a class twice: {', '.join(names)}")
        if not 1 <= len(self.bands) <= _MAX_BANDS:
            raise CardError(
                f"card {self.name!r} has {len(self.bands)} bands; 1 to {_MAX_BANDS} work"
            )
        if not len(self.mean) == len(self.std) == len(self.bands):
            raise CardError(
                f"card {self.name!r} has {len(self.bands)} bands but {len(self.mean)} means "
                f"and {len(self.std)} standard deviations"
            )
        if not all(_finite(m) for m in self.mean):
            raise CardError(f"card {self.name!r} has means that are not finite: {self.mean}")
        if not all(_finite(s) and s > 0 for s in self.std):
            raise CardError(
                f"card {self.name!r} has standard deviations that are not positive: {self.std}"
            )
        resolution = self.ground_resolution
        if resolution is not None and not (_finite(resolution) and resolution > 0):
            raise CardError(
                f"card {self.name!r} has a ground resolution of {resolution} m; "
                "give metres per pixel, or none"
            )

    def _check_types(self) -> None:
        """Refuse fields of a wrong type, which a file may contain."""
        texts = {
            "name": self.name,
            "architecture": self.architecture,
            "training_data": self.training_data,
            "licence": self.licence,
            **{f"bands[{index}]": band for index, band in enumerate(self.bands)},
        }
        for key, value in texts.items():
            if not isinstance(value, str):
                raise CardError(f"{key} of a card is a text, not {value!r}")
        for key, table in (("options", self.options), ("figures", self.figures)):
            if not isinstance(table, Mapping):
                raise CardError(f"{key} of a card is a table, not {table!r}")
        for key, figure in self.figures.items():
            if not _finite(figure):
                raise CardError(f"figure {key!r} of a card is a number, not {figure!r}")

    def to_json(self) -> str:
        """Return the card as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Return the card of a text of `to_json`; fields this version does not know are ignored.

        Raises
        ------
        CardError
            If the text is not a card.
        """
        try:
            fields = parse_json(text)
            if not isinstance(fields, dict):
                raise CardError(f"a card is a JSON object, not {type(fields).__name__}")
            values = {key: fields[key] for key in cls.__dataclass_fields__ if key in fields}
            values["classes"] = tuple(LandClass(**c) for c in values["classes"])
            for key in ("bands", "mean", "std"):
                if isinstance(values.get(key, []), str):
                    raise CardError(f"{key} of a card is a list, not {values[key]!r}")
                if key in values:
                    values[key] = tuple(values[key])
            if isinstance(options := values.get("options"), dict):
                values["options"] = {key: _tuples(value) for key, value in options.items()}
            if "scaling" in values:
                values["scaling"] = Scaling(**values["scaling"])
            if "guidance" in values:
                values["guidance"] = Guidance(**values["guidance"])
            return cls(**values)
        except JsonError as error:
            raise CardError(f"this file's card cannot be read: it {error}") from error
        except (CardError, ClickError) as error:
            raise CardError(
                f"the card in this file is wrong: {shortened(str(error), _QUOTED)}"
            ) from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise CardError(
                f"this file's card cannot be read: {shortened(repr(error), _QUOTED)}"
            ) from error


def _tuples(value: object) -> object:
    """Return a value of JSON with tuples for its lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
