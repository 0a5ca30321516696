"""What the maps are called: in plain words, with the method's name beside them."""

from __future__ import annotations

TITLES = {
    "initial": "Network's map",
    "disir": "Near clicks (DISIR)",
    "disca": "Whole image (DISCA)",
}
