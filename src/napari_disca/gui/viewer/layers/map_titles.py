"""Names of the maps for the user: plain words, with the method's name."""

from __future__ import annotations

TITLES = {
    "initial": "Network's map",
    "disir": "Near clicks (DISIR)",
    "disca": "Whole image (DISCA)",
}
