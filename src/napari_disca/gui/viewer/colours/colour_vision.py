"""Measures how far apart colours look, also to colour-blind eyes.

Red and green look alike to one man in twelve. Colours are compared as someone without green cones
sees them (deuteranopia, the most common kind: Machado, Oliveira and Fernandes 2009, severity 1), by
their distance in CIELAB (CIE 1976): 2 is hardly visible, 10 is distinct at a glance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

#: Distance below which colours look alike on a map.
ALIKE = 10.0
#: Colours that differ by 24 or more for all eyes, and by 27 or more from vegetation, soil,
#: asphalt, roofs and water where they cover those half-transparently. The first five are bright;
#: those after them are dark or pale.
SAFE = (
    "#f0331f",
    "#ffd54a",
    "#7b2ff7",
    "#12c95a",
    "#29c5ff",
    "#1a1a1a",
    "#ffffff",
    "#0a1a66",
    "#3d998a",
    "#662200",
)
#: Linear RGB as seen without green cones (Machado et al. 2009, table 1).
_DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
#: Linear sRGB to CIE XYZ, for the white of D65.
_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _XYZ.sum(axis=1)


def rgb_of(colour: str) -> tuple[float, float, float]:
    """Return red, green and blue, 0 to 1, of "#rrggbb"."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red / 255, green / 255, blue / 255


def lab(rgb: ArrayLike) -> NDArray[np.float64]:
    """Return the CIELAB values of colours.

    Parameters
    ----------
    rgb : (..., 3) array
        sRGB, 0 to 1.

    Returns
    -------
    (..., 3) array
        Lightness 0 to 100, a and b.
    """
    return _lab(_linear(np.asarray(rgb, dtype=np.float64)))


def lab_without_green(rgb: ArrayLike) -> NDArray[np.float64]:
    """Return CIELAB of colours as seen without green cones; shapes as in `lab`."""
    seen = _linear(np.asarray(rgb, dtype=np.float64)) @ _DEUTERANOPIA.T
    return _lab(np.clip(seen, 0, 1))


def alike(colours: Sequence[str]) -> list[tuple[int, int, float]]:
    """Return the pairs of colours that look alike, to usual eyes or without green cones.

    Parameters
    ----------
    colours : sequence of str
        "#rrggbb".

    Returns
    -------
    list of (int, int, float)
        Indices of both colours, and their distance, nearest pairs first.
    """
    if len(colours) < 2:
        return []
    rgb = np.array([rgb_of(colour) for colour in colours])
    distances = np.minimum(_distances(lab(rgb)), _distances(lab_without_green(rgb)))
    pairs = [
        (i, j, float(distances[i, j]))
        for i in range(len(colours))
        for j in range(i + 1, len(colours))
        if distances[i, j] < ALIKE
    ]
    return sorted(pairs, key=lambda pair: pair[2])


def safer(colours: Sequence[str]) -> list[str]:
    """Return different colours of `SAFE` that are as near as possible to some colours.

    Parameters
    ----------
    colours : sequence of str
        "#rrggbb". If there are more than in `SAFE`, they are returned unchanged.
    """
    if not 0 < len(colours) <= len(SAFE):
        return list(colours)
    palette = SAFE[: max(5, len(colours))]
    wanted, offered = (lab([rgb_of(c) for c in some]) for some in (colours, palette))
    _, chosen = linear_sum_assignment(np.linalg.norm(wanted[:, None] - offered[None], axis=-1))
    return [palette[i] for i in chosen]


def _linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    xyz = linear @ _XYZ.T / _WHITE
    bent = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(bent, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _distances(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
    return difference
