"""A verb: something that a user can do, with title, sentence, keys and menus."""

from __future__ import annotations

from dataclasses import dataclass

#: Headings of the page of keys, in their order.
GROUPS = ("Image", "Map", "Correct", "Review", "Deliver", "Help")
#: Prefix of napari's menus of layers.
LAYERS_MENU = "napari/layers/"


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a user can do.

    Attributes
    ----------
    name : str
        Name in the program.
    title : str
        Name on buttons, in menus and in the palette.
    does : str
        One sentence for tooltips and the page of keys, without its full stop.
    group : str
        One of `GROUPS`.
    keys : tuple of str
        In Qt's notation ("Ctrl+Shift+Z"); several where each means another class; may be empty.
    menus : tuple of str
        napari's menus that offer it.
    command : bool
        Whether the palette offers it, which cannot pass a number or hold a key down.
    repeats : bool
        Whether a key that is held down repeats it.
    """

    name: str
    title: str
    does: str
    group: str
    keys: tuple[str, ...] = ()
    menus: tuple[str, ...] = ()
    command: bool = True
    repeats: bool = False

    @property
    def key(self) -> str:
        """The keys as text: "Ctrl+Z", "1 … 9"; empty if it has none."""
        if not self.keys:
            return ""
        first, last = self.keys[0], self.keys[-1]
        return first if len(self.keys) == 1 else f"{first} … {last}"

    @property
    def tooltip(self) -> str:
        """The sentence, with the key in brackets."""
        return f"{self.does} ({self.key})" if self.keys else self.does


def numbered(prefix: str = "") -> tuple[str, ...]:
    """Return the keys of the classes: the digits from 1 to 9, with a prefix such as ``"Alt+"``."""
    return tuple(f"{prefix}{number}" for number in range(1, 10))
