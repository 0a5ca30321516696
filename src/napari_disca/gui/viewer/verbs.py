"""All that a user can do, in one table.

The keys (`key_filter`), the tooltips of the buttons, the page of keys (``?``), ``docs/keys.md`` and
the commands of napari's palette and menus are made from it. Nothing here imports Qt or napari.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Headings of the page of keys, in their order.
GROUPS = ("Image", "Map", "Correct", "Review", "Deliver", "Help")
_MENU = "napari/layers/"


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


def _numbered(prefix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(1, 10))


VERBS: tuple[Verb, ...] = (
    Verb(
        "go_to",
        "Go to…",
        "Move the view to coordinates that are typed or pasted: of the map, latitude and "
        "longitude, or row and column",
        "Image",
        ("Ctrl+J",),
    ),
    Verb(
        "copy_place",
        "Copy coordinates",
        "Copy the coordinates under the pointer; a right click on the image offers more",
        "Image",
        ("Ctrl+Alt+C",),
        (_MENU + "measure",),
    ),
    Verb(
        "segment",
        "Segment",
        "Draw the network's map of the whole image",
        "Map",
        (),
        (_MENU + "segment",),
    ),
    Verb(
        "hide",
        "Hide or show the map",
        "Hide the map on top, or show it again; hold the key to peek under it",
        "Map",
        ("H",),
    ),
    Verb(
        "style",
        "Fill, outline or off",
        "Show the map as filled areas, then as outlines, then not at all",
        "Map",
        ("G",),
    ),
    Verb(
        "fainter", "Fainter map", "Make the map 10 % more transparent", "Map", (",",), repeats=True
    ),
    Verb(
        "stronger",
        "Stronger map",
        "Make the map 10 % less transparent",
        "Map",
        (".",),
        repeats=True,
    ),
    Verb(
        "uncertainty",
        "Show uncertainty",
        "Show or hide where the network is not sure, from clear (sure) to bright (torn between two "
        "classes)",
        "Map",
        ("U",),
        (_MENU + "measure",),
    ),
    Verb(
        "isolate",
        "Show one class only",
        "Show only the class of that number; the same key again shows all",
        "Map",
        _numbered("Alt+"),
        command=False,
    ),
    Verb("legend", "Show the legend", "Show or hide the legend on the canvas", "Map"),
    Verb(
        "colours",
        "Safer colours",
        "Show the classes in colours that all eyes tell apart, or in the network's",
        "Map",
    ),
    Verb(
        "compare",
        "Compare side by side",
        "Show the map corrected near the clicks beside the one corrected in the whole image",
        "Map",
    ),
    Verb(
        "class",
        "Choose a class",
        "Make the next click one of the class of that number; clicks that are selected get it",
        "Correct",
        _numbered(),
        command=False,
    ),
    Verb("rename_class", "Rename class…", "Give the marked class another name", "Correct", ("F2",)),
    Verb("recolour_class", "Class colour…", "Give the marked class another colour", "Correct"),
    Verb(
        "hide_class",
        "Hide or show class",
        "See through the map where the marked class is; it is saved all the same",
        "Correct",
    ),
    Verb(
        "class_up",
        "Class up",
        "Move the marked class up in the list; the keys of classes follow",
        "Correct",
        ("Alt+Up",),
    ),
    Verb(
        "class_down",
        "Class down",
        "Move the marked class down in the list; the keys of classes follow",
        "Correct",
        ("Alt+Down",),
    ),
    Verb(
        "merge_class",
        "Merge class…",
        "Save the marked class and another as one; clicks still tell them apart",
        "Correct",
    ),
    Verb(
        "separate_class",
        "Separate class",
        "Save what was merged with the marked class as classes of their own again",
        "Correct",
    ),
    Verb(
        "load_classes",
        "Load classes…",
        "Name, colour and merge classes as a CSV, a QGIS style, a colour map or a card says",
        "Correct",
    ),
    Verb(
        "save_classes",
        "Save classes…",
        "Write the table of classes as CSV, QGIS style, colour map or JSON",
        "Correct",
    ),
    Verb(
        "network_classes",
        "Network's classes",
        "Name and colour the classes as the network's card does, and merge none",
        "Correct",
    ),
    Verb(
        "next_tool",
        "Next drawing tool",
        "Click, brush, polygon, lasso in turn",
        "Correct",
        ("Q",),
    ),
    Verb(
        "brush",
        "Brush",
        "Drag to give what the brush passes the class that is chosen; the right button erases what "
        "was drawn",
        "Correct",
        (),
        (_MENU + "annotate",),
    ),
    Verb(
        "polygon",
        "Polygon",
        "Give what an outline encloses the class that is chosen: a click for each corner",
        "Correct",
        (),
        (_MENU + "annotate",),
    ),
    Verb(
        "lasso",
        "Lasso",
        "Drag around what shall get the class that is chosen",
        "Correct",
        (),
        (_MENU + "annotate",),
    ),
    Verb(
        "fill_patch",
        "Fill patch",
        "Give the whole patch under the pointer the class that is chosen; Shift+click does so, too",
        "Correct",
        ("F",),
        command=False,
    ),
    Verb(
        "smaller_brush",
        "Smaller brush",
        "Make the brush smaller",
        "Correct",
        ("[",),
        command=False,
        repeats=True,
    ),
    Verb(
        "larger_brush",
        "Larger brush",
        "Make the brush larger",
        "Correct",
        ("]",),
        command=False,
        repeats=True,
    ),
    Verb(
        "confirm",
        "Confirm",
        "Close the polygon that is being drawn; in a review: what is outlined is right, and locked",
        "Correct",
        ("Return",),
        command=False,
    ),
    Verb(
        "corner_back",
        "Take a corner back",
        "Take the last corner of a polygon back",
        "Correct",
        ("Backspace",),
        command=False,
        repeats=True,
    ),
    Verb(
        "leave_tool",
        "Leave the tool",
        "Drop what is being drawn; once more, go back to clicks, and outline no place any more",
        "Correct",
        ("Esc",),
        command=False,
    ),
    Verb(
        "adapt",
        "Adapt",
        "Learn from all clicks and correct the whole map (DISCA)",
        "Correct",
        ("Ctrl+Return",),
        (_MENU + "classify",),
    ),
    Verb("cancel", "Cancel", "Stop what runs; what is finished stays", "Correct"),
    Verb("undo", "Undo", "Take back the last step", "Correct", ("Ctrl+Z",), repeats=True),
    Verb(
        "redo",
        "Redo",
        "Do again what was taken back",
        "Correct",
        ("Ctrl+Shift+Z",),
        repeats=True,
    ),
    Verb("reset", "Reset network", "Forget what was adapted; the clicks stay", "Correct"),
    Verb(
        "doubtful",
        "Next doubtful place",
        "Go where the network is least sure over the largest area, and you have not looked yet",
        "Review",
        ("N",),
        (_MENU + "classify",),
        repeats=True,
    ),
    Verb(
        "next_tile",
        "Next tile",
        "Go to the next tile of the map that was not seen yet",
        "Review",
        ("T",),
        repeats=True,
    ),
    Verb(
        "wrong",
        "Wrong",
        "The place that is outlined is of the class of that number: it is clicked in its middle",
        "Review",
        _numbered("Ctrl+"),
        command=False,
    ),
    Verb(
        "unsure",
        "Not sure",
        "Nobody can tell what is in the place that is outlined; go to the next one",
        "Review",
        ("0",),
        command=False,
    ),
    Verb(
        "note",
        "Note",
        "Write down what is to be remembered of the place that is outlined",
        "Review",
        ("K",),
    ),
    Verb(
        "next_change",
        "Next change",
        "Go to the next region that the adaptation changed away from the clicks",
        "Review",
        ("J",),
        repeats=True,
    ),
    Verb(
        "blink",
        "Blink old and new",
        "While the key is held, show the map without and with the adaptation in turn",
        "Review",
        ("W",),
        command=False,
    ),
    Verb(
        "accept",
        "Accept",
        "The region that is chosen is right now: it stays, and the next Adapt learns from it",
        "Review",
        ("Y",),
    ),
    Verb(
        "reject",
        "Reject",
        "The region that is chosen was right before: it goes back, and the next Adapt learns from "
        "it",
        "Review",
        ("X",),
    ),
    Verb(
        "accept_all",
        "Accept all",
        "All that the adaptation changed stays; later clicks still count",
        "Review",
        ("Shift+Y",),
    ),
    Verb(
        "reject_all",
        "Reject all",
        "All that the adaptation changed goes back, and the next Adapt learns from it",
        "Review",
        ("Shift+X",),
    ),
    Verb(
        "only_near",
        "Only here",
        "Keep what the adaptation changed near the clicks; the rest goes back, and teaches nothing",
        "Review",
        ("O",),
    ),
    Verb(
        "lock_area",
        "Lock area",
        "Draw an outline, a corner with each click; double-click ends it",
        "Review",
        (),
        (_MENU + "annotate",),
    ),
    Verb("lock_view", "Lock view", "Lock all that is in view", "Review", (), (_MENU + "annotate",)),
    Verb(
        "unlock",
        "Unlock",
        "Let the areas that are selected in the layer change again",
        "Review",
    ),
    Verb(
        "save_labels",
        "Save labels…",
        "Write a map as GeoTIFF on the image's grid",
        "Deliver",
    ),
    Verb(
        "save_clicks", "Save clicks…", "Write the clicks as GeoJSON in map coordinates", "Deliver"
    ),
    Verb(
        "load_clicks",
        "Load clicks…",
        "Add the clicks of a GeoJSON file",
        "Deliver",
        (),
        (_MENU + "annotate",),
    ),
    Verb("save_areas", "Save areas…", "Write the areas as GeoJSON in map coordinates", "Deliver"),
    Verb(
        "save_review",
        "Save review…",
        "Write which places were looked at, and what was said of them, as GeoJSON",
        "Deliver",
    ),
    Verb(
        "save_strokes",
        "Save strokes…",
        "Write what was drawn as GeoJSON in map coordinates",
        "Deliver",
    ),
    Verb(
        "load_areas",
        "Load areas…",
        "Lock the areas of a GeoJSON file as the map shows them now",
        "Deliver",
    ),
    Verb(
        "settings",
        "Settings…",
        "Set once for all images: device, memory, looks of the map, hints, notices",
        "Help",
        ("Ctrl+,",),
    ),
    Verb("keys", "Keys", "Show this page", "Help", ("?",)),
)

BY_NAME: Mapping[str, Verb] = {verb.name: verb for verb in VERBS}
