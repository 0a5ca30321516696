"""The settings, which hold for all images, in one table.

The ``configurations`` of ``napari.yaml``, napari's preferences, the panel's dialog and
``docs/settings.md`` are made from it. Nothing here imports Qt or napari.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str

#: Headings in their order, by their names in the manifest.
SECTIONS: Mapping[str, str] = {
    "look": "Appearance of the map",
    "machine": "Machine",
    "work": "Work",
}
_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: its place, texts, default and limits.

    Attributes
    ----------
    section : str
        One of `SECTIONS`.
    name : str
        Name in the program and in the file of settings.
    title : str
        Label of the field.
    about : str
        Tooltip: one or two sentences, without the last full stop.
    default : bool, int, float or str
        The default; all values have its type.
    low, high : float, optional
        The least and the largest number.
    choices : tuple of str
        The allowed texts; empty if all are.
    unit : str
        Unit after a number.
    own_page : bool
        Whether it is changed in another dialog than the settings.
    """

    section: str
    name: str
    title: str
    about: str
    default: Value
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    own_page: bool = False

    def accepts(self, value: object) -> bool:
        """Whether a value is allowed."""
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            return False
        if self.choices:
            return value in self.choices
        low = -float("inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        return not isinstance(value, int | float) or low <= value <= high

    def schema(self) -> dict[str, Any]:
        """Return the property as the manifest declares it, in JSON schema."""
        found: dict[str, Any] = {
            "type": _TYPES[type(self.default)],
            "title": self.title,
            "description": f"{self.about}.",
            "default": self.default,
        }
        if self.low is not None:
            found["minimum"] = self.low
        if self.high is not None:
            found["maximum"] = self.high
        if self.choices:
            found["enum"] = list(self.choices)
        return found


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "look",
        "style",
        "Map is shown as",
        "How a map is shown when an image is opened; G changes it in the window",
        "fill",
        choices=("fill", "outline"),
    ),
    Setting(
        "look",
        "opacity",
        "Opacity of areas",
        "Opacity of filled areas when an image is opened, from 0.1 (hardly visible) to 1 (hides "
        "the image); comma and dot change it in the window",
        0.5,
        0.1,
        1.0,
    ),
    Setting(
        "look",
        "colours",
        "Colours of classes",
        "Safer colours are distinct for all eyes, also colour-blind ones; automatic uses them "
        "where those of the network look alike. A colour that you chose for a class stays",
        "automatic",
        choices=("automatic", "network", "safer"),
    ),
    Setting("look", "legend", "Legend", "Show the classes with their keys on the canvas", True),
    Setting(
        "machine",
        "device",
        "Device",
        "Where networks run; auto uses a graphics card if there is one. The map is computed again",
        "auto",
        choices=("auto", "cpu", "cuda", "mps"),
    ),
    Setting(
        "machine",
        "precision",
        "Precision",
        "Number format of the network. bfloat16 is about twice as fast where the processor has it, "
        "and may give another class in up to 0.5 % of the pixels; auto uses it where it is faster. "
        "The map is computed again",
        "auto",
        choices=("auto", "float32", "bfloat16"),
    ),
    Setting(
        "machine",
        "memory",
        "Features in memory",
        "Memory for features of the image, so that Adapt and Undo need not compute them again",
        512,
        64,
        65536,
        unit="MB",
    ),
    Setting(
        "machine",
        "disk",
        "Features on disk",
        "Disk space for features that do not fit in that memory; a large map is then redone "
        "faster. A tile of 512 × 512 pixels takes about 15 MB",
        0,
        0,
        1000,
        unit="GB",
    ),
    Setting(
        "work",
        "hints",
        "Hints",
        "Show one line in each section about the next step; switching hints on brings closed ones "
        "back",
        True,
    ),
    Setting(
        "work",
        "notice",
        "Notice after",
        "Show a notice when work that took at least so many seconds has ended while you use "
        "another program; 0: never",
        20,
        0,
        3600,
        unit="s",
    ),
    Setting(
        "work",
        "keys",
        "Changed keys",
        "Set on the page of keys (press ? in the window): actions whose keys you have changed",
        "",
        own_page=True,
    ),
)

BY_SETTING: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def configurations() -> dict[str, Any]:
    """Return what the manifest declares under ``configurations``."""
    return {
        section: {
            "title": title,
            "properties": {
                setting.name: setting.schema() for setting in SETTINGS if setting.section == section
            },
        }
        for section, title in SECTIONS.items()
    }


def settings_page() -> str:
    """Return the text of ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "They are kept for all images and windows. *Settings…* at the foot of the panel shows",
        "them, and so do napari's preferences (*File → Preferences → Correct maps by clicking*).",
        "A change takes effect at once. napari saves them in `napari-disca.yaml` beside its own",
        "settings.",
        "",
        "![The page of settings](pictures/settings-dark.png)",
        "",
        "This page is made from `gui/toolkit/settings_table.py` by `python docs/make_settings.py`.",
    ]
    for section, title in SECTIONS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| setting | at first | what it does |",
            "| --- | --- | --- |",
        ]
        for setting in SETTINGS:
            if setting.section == section:
                lines.append(f"| {setting.title} | {_shown(setting)} | {setting.about} |")
    return "\n".join(lines) + "\n"


def _shown(setting: Setting) -> str:
    value = setting.default
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value} {setting.unit}".strip() or "none"
    others = [choice for choice in setting.choices if choice != value]
    return f"{text} (or {', '.join(others)})" if others else text
