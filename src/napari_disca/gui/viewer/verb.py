"""What a verb is: something that a user can do, with its title, sentence, keys and menus."""

from __future__ import annotations

from dataclasses import dataclass

#: Headings of the page of keys, in their order.
GROUPS = ("Image", "Map", "Correct", "Review", "Deliver", "Help")
#: Where napari's menus of layers are.
LAYERS_MENU = "napari/layers/"


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that a user can do.

    Attributes
    ----------
    name : str
        What the program calls it.
    title : str
        What buttons, menus and the palette call it.
    does : str
        One sentence for tooltips and the page of keys, without its full stop.
    group : str
        One of `GROUPS`.
    keys : tuple of str
        As Qt writes them ("Ctrl+Shift+Z"); several where each means another class. Empty if it
        has none.
    menus : tuple of str
        napari's menus that offer it.
    command : bool
        Whether the palette offers it. What needs a number or a key held down is not there.
    repeats : bool
        Whether a key that is held down does it again and again.
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
        """The keys as a user reads them: "Ctrl+Z", "1 … 9"; empty if it has none."""
        if not self.keys:
            return ""
        first, last = self.keys[0], self.keys[-1]
        return first if len(self.keys) == 1 else f"{first} … {last}"

    @property
    def tooltip(self) -> str:
        """What it does, and its key in brackets."""
        return f"{self.does} ({self.key})" if self.keys else self.does


def numbered(prefix: str = "") -> tuple[str, ...]:
    """Keys of the classes: the digits from 1 to 9, with a prefix such as ``"Alt+"``."""
    return tuple(f"{prefix}{number}" for number in range(1, 10))
