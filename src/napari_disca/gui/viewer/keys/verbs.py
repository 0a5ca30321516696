"""All verbs in one table.

The keys (`key_filter`), the tooltips of the buttons, the page of keys (``?``), ``docs/keys.md`` and
the commands of napari's palette and menus are made from it. Nothing here imports Qt or napari.
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_disca.gui.viewer.keys.correct_verbs import CORRECT_VERBS
from napari_disca.gui.viewer.keys.review_verbs import REVIEW_VERBS
from napari_disca.gui.viewer.keys.verb import LAYERS_MENU, Verb, numbered

_LOOK: tuple[Verb, ...] = (
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
        (LAYERS_MENU + "measure",),
    ),
    Verb(
        "overlay",
        "Overlay…",
        "Show another raster, or the lines, polygons and points of a GIS file, over the image: "
        "GeoTIFF, GeoPackage, Shapefile, GeoJSON, FlatGeobuf",
        "Image",
    ),
    Verb(
        "segment",
        "Segment",
        "Compute the network's map of the whole image",
        "Map",
        (),
        (LAYERS_MENU + "segment",),
    ),
    Verb(
        "hide",
        "Hide or show the map",
        "Hide the top map, or show it again; hold the key to see the image only",
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
        "Show or hide where the network is not sure, from clear (sure) to bright (undecided "
        "between two classes)",
        "Map",
        ("U",),
        (LAYERS_MENU + "measure",),
    ),
    Verb(
        "isolate",
        "Show one class only",
        "Show only the class of that number; the same key again shows all",
        "Map",
        numbered("Alt+"),
        command=False,
    ),
    Verb("legend", "Show the legend", "Show or hide the legend on the canvas", "Map"),
    Verb(
        "colours",
        "Safer colours",
        "Show the classes in colours that are distinct for all eyes, or in the network's",
        "Map",
    ),
    Verb(
        "compare",
        "Compare side by side",
        "Show the map corrected near the clicks beside the one corrected in the whole image",
        "Map",
    ),
)
_DELIVER: tuple[Verb, ...] = (
    Verb(
        "save_labels",
        "Save map…",
        "Write a map as GeoTIFF on the image's grid",
        "Deliver",
    ),
    Verb(
        "save_clicks",
        "Save clicks…",
        "Write the clicks as GeoJSON or GeoPackage in map coordinates",
        "Deliver",
    ),
    Verb(
        "load_clicks",
        "Load clicks…",
        "Add the clicks of a file: GeoJSON, GeoPackage, Shapefile, FlatGeobuf or CSV",
        "Deliver",
        (),
        (LAYERS_MENU + "annotate",),
    ),
    Verb(
        "save_areas",
        "Save areas…",
        "Write the locked areas as GeoJSON or GeoPackage in map coordinates",
        "Deliver",
    ),
    Verb(
        "save_review",
        "Save review…",
        "Write which places were seen and how they were judged, as GeoJSON or GeoPackage",
        "Deliver",
    ),
    Verb(
        "save_strokes",
        "Save strokes…",
        "Write the drawn strokes as GeoJSON or GeoPackage in map coordinates",
        "Deliver",
    ),
    Verb(
        "load_areas",
        "Load areas…",
        "Lock the polygons of a file as the map shows them now: GeoJSON, GeoPackage, Shapefile, "
        "FlatGeobuf",
        "Deliver",
    ),
    Verb(
        "settings",
        "Settings…",
        "Set once for all images: device, memory, appearance of the map, hints, notices",
        "Help",
        ("Ctrl+,",),
    ),
    Verb("keys", "Keys", "Show all keys, and change them", "Help", ("?",)),
)

VERBS: tuple[Verb, ...] = (*_LOOK, *CORRECT_VERBS, *REVIEW_VERBS, *_DELIVER)

BY_NAME: Mapping[str, Verb] = {verb.name: verb for verb in VERBS}
