"""All that a user can set once for all images, in one table.

What ``napari.yaml`` declares as ``configurations``, what napari's preferences and the panel's page
of settings show, and ``docs/settings.md`` are made from it. Nothing here imports Qt or napari.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = bool | int | float | str

#: Headings by the names that the manifest has for them, in their order.
SECTIONS: Mapping[str, str] = {
    "look": "Look of the map",
    "machine": "Machine",
    "work": "Work",
}
_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that is set once.

    Attributes
    ----------
    section : str
        One of `SECTIONS`.
    name : str
        What the program and the file of settings call it.
    title : str
        What the user reads beside the field.
    about : str
        One or two sentences, without the last full stop.
    default : bool, int, float or str
        Its type is that of all values.
    low, high : float, optional
        The least and the largest number.
    choices : tuple of str
        All that a text may be, where not everything is allowed.
    unit : str
        After the number.
    own_page : bool
        Whether it is changed on a page of its own and not on that of the settings.
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
        """Whether a value is one that this may have."""
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
        """The property as the manifest declares it, a part of JSON schema."""
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
        "How a map is shown at first; G changes it in the window",
        "fill",
        choices=("fill", "outline"),
    ),
    Setting(
        "look",
        "opacity",
        "Opacity of areas",
        "How opaque filled areas are at first, from 0.1 (hardly seen) to 1 (nothing beneath is "
        "seen); comma and dot change it in the window",
        0.5,
        0.1,
        1.0,
    ),
    Setting(
        "look",
        "colours",
        "Colours of classes",
        "Safer colours are told apart by all eyes; automatic takes them where those of the network "
        "look alike. Colours that you chose for a class stay",
        "automatic",
        choices=("automatic", "network", "safer"),
    ),
    Setting("look", "legend", "Legend", "Show the classes with their keys on the canvas", True),
    Setting(
        "machine",
        "device",
        "Device",
        "Where networks run; automatic takes a graphics card where there is one. The map is drawn "
        "anew",
        "auto",
        choices=("auto", "cpu", "cuda", "mps"),
    ),
    Setting(
        "machine",
        "precision",
        "Precision",
        "Number format of the network. bfloat16 is about twice as fast where the processor has it, "
        "and may give another class in up to 0.5 % of the pixels; automatic takes it where it "
        "pays. The map is drawn anew",
        "auto",
        choices=("auto", "float32", "bfloat16"),
    ),
    Setting(
        "machine",
        "memory",
        "Features in memory",
        "Memory for what the network has read of the image, so that Adapt and undo need not read "
        "it again",
        512,
        64,
        65536,
        unit="MB",
    ),
    Setting(
        "machine",
        "disk",
        "Features on disk",
        "Disk for what does not fit in that memory; a large map is then redone faster. A tile of "
        "512 x 512 pixels takes some 15 MB",
        0,
        0,
        1000,
        unit="GB",
    ),
    Setting(
        "work",
        "hints",
        "Hints",
        "Say in each section in one line what can be done; switch them on to have those back that "
        "were closed",
        True,
    ),
    Setting(
        "work",
        "notice",
        "Notice after",
        "Tell when work has ended that took at least so many seconds, if you look at another "
        "program; 0 never tells",
        20,
        0,
        3600,
        unit="s",
    ),
    Setting(
        "work",
        "keys",
        "Changed keys",
        "Made by the page of keys (press ? in the window): which actions have other keys",
        "",
        own_page=True,
    ),
)

BY_SETTING: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def configurations() -> dict[str, Any]:
    """What the manifest has to declare under ``configurations``."""
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
    """Text of ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "They are kept for all images and windows. *Settings…* at the foot of the panel shows",
        "them, and so do napari's preferences (*File → Preferences → Correct maps by clicking*).",
        "What is changed counts at once. napari keeps them in `napari-disca.yaml` beside its own",
        "settings.",
        "",
        "![The page of settings](pictures/settings-dark.png)",
        "",
        "This page is made from `gui/viewer/settings_table.py` by `python docs/make_settings.py`.",
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
