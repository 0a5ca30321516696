"""Verbs that review the map: doubtful places, verdicts, locks."""

from __future__ import annotations

from napari_disca.gui.viewer.keys.verb import LAYERS_MENU, Verb, numbered

REVIEW_VERBS: tuple[Verb, ...] = (
    Verb(
        "doubtful",
        "Next doubtful place",
        "Go to the place not seen yet where the network is least sure over the largest area",
        "Review",
        ("N",),
        (LAYERS_MENU + "classify",),
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
        "next_place",
        "Next in the list",
        "Go to the next place of the review, or to the next changed region",
        "Review",
        ("Right",),
        command=False,
        repeats=True,
    ),
    Verb(
        "previous_place",
        "Previous in the list",
        "Go back to the place, or the changed region, before the outlined one",
        "Review",
        ("Left",),
        command=False,
        repeats=True,
    ),
    Verb(
        "wrong",
        "Wrong",
        "Judge the outlined place wrong, and click the class of that number in its middle; at a "
        "doubtful place, the digit alone does so",
        "Review",
        numbered("Ctrl+"),
        command=False,
    ),
    Verb(
        "unsure",
        "Not sure",
        "Judge that the outlined place cannot be told, and go to the next one",
        "Review",
        ("0",),
        command=False,
    ),
    Verb(
        "note",
        "Note",
        "Write a note about the outlined place",
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
        "Judge the chosen region right: it stays, and the next Adapt learns from it",
        "Review",
        ("Y",),
    ),
    Verb(
        "reject",
        "Reject",
        "Judge the chosen region wrong: it becomes as it was before, and the next Adapt learns "
        "from it",
        "Review",
        ("X",),
    ),
    Verb(
        "accept_all",
        "Accept all",
        "Keep all that the adaptation changed; later clicks still count",
        "Review",
        ("Shift+Y",),
    ),
    Verb(
        "reject_all",
        "Reject all",
        "Take back all that the adaptation changed; the next Adapt learns from it",
        "Review",
        ("Shift+X",),
    ),
    Verb(
        "only_near",
        "Only here",
        "Keep what the adaptation changed near the clicks, and take back the rest; the next Adapt "
        "does not learn from it",
        "Review",
        ("O",),
    ),
    Verb(
        "lock_area",
        "Lock area",
        "Draw the outline of an area to lock, a corner with each click; a double-click ends it",
        "Review",
        (),
        (LAYERS_MENU + "annotate",),
    ),
    Verb(
        "lock_view",
        "Lock view",
        "Lock the part of the map in view: it stays as it is, and Adapt learns from it",
        "Review",
        (),
        (LAYERS_MENU + "annotate",),
    ),
    Verb(
        "unlock",
        "Unlock",
        "Unlock the areas that are selected in the layer, so that they can change again",
        "Review",
    ),
)
