"""What a user can do to review the map: doubtful places, verdicts, locks."""

from __future__ import annotations

from napari_disca.gui.viewer.verb import LAYERS_MENU, Verb, numbered

REVIEW_VERBS: tuple[Verb, ...] = (
    Verb(
        "doubtful",
        "Next doubtful place",
        "Go where the network is least sure over the largest area, and you have not looked yet",
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
        "wrong",
        "Wrong",
        "The place that is outlined is of the class of that number: it is clicked in its middle",
        "Review",
        numbered("Ctrl+"),
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
        (LAYERS_MENU + "annotate",),
    ),
    Verb(
        "lock_view",
        "Lock view",
        "Lock all that is in view",
        "Review",
        (),
        (LAYERS_MENU + "annotate",),
    ),
    Verb(
        "unlock",
        "Unlock",
        "Let the areas that are selected in the layer change again",
        "Review",
    ),
)
