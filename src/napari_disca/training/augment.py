"""Random views of a labelled image: another scale, another turn, another light.

Augmentation is strong because the training sets are small and the maps must hold on images from
other sensors, seasons and places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from napari_disca.annotations.simulated_annotator import IGNORE


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much crops vary.

    Parameters
    ----------
    scale : (float, float)
        Smallest and largest magnification.
    turn : float
        Chance of a rotation by any angle; the rest turns by quarters.
    light : float
        Strength of brightness, contrast, gamma and colour changes; 0 leaves colours alone.
    blur, noise, hole : float
        Chances of a blur, of sensor noise, and of a rectangle without data.
    """

    scale: tuple[float, float] = field(default=(0.5, 2.0))
    turn: float = 0.5
    light: float = 1.0
    blur: float = 0.25
    noise: float = 0.3
    hole: float = 0.1


def random_crop(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    size: int,
    rng: np.random.Generator,
    augmentation: Augmentation,
    mean: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """One random view of a labelled image.

    Parameters
    ----------
    image : (height, width, bands) array of uint8
        Scaled values times 255.
    labels : (height, width) array of uint8
    size : int
        Side of the crop in pixels.
    rng : numpy.random.Generator
    augmentation : Augmentation
    mean : (bands,) array of float32
        What pixels without data are set to.

    Returns
    -------
    (bands, size, size) array of float32 and (size, size) array of uint8
        The view and its labels, `IGNORE` where the view looks beyond the image.
    """
    low, high = augmentation.scale
    scale = math.exp(rng.uniform(math.log(low), math.log(high)))
    free = rng.random() < augmentation.turn
    angle = rng.uniform(0, 2 * math.pi) if free else rng.integers(4) * math.pi / 2
    mirror = 1.0 if rng.random() < 0.5 else -1.0

    # Only the patch that the view can see is converted to float and resampled.
    half = math.ceil(size / scale * (math.sqrt(0.5) if free else 0.5)) + 2
    height, width = labels.shape
    row = rng.uniform(*_centres(height, size / scale))
    col = rng.uniform(*_centres(width, size / scale))
    top, left = max(0, int(row) - half), max(0, int(col) - half)
    patch = image[top : int(row) + half + 1, left : int(col) + half + 1]
    known = labels[top : int(row) + half + 1, left : int(col) + half + 1]
    if scale < 0.8:
        # Averaging before sampling, as a sensor does; otherwise thin roads turn to dots.
        patch = ndimage.uniform_filter(patch, size=(round(1 / scale), round(1 / scale), 1))

    cos, sin = math.cos(angle), math.sin(angle)
    reach = size / scale  # the view spans this many source pixels
    p_height, p_width = known.shape
    theta = torch.tensor(
        [
            [mirror * cos * reach / p_width, -sin * reach / p_width, _norm(col - left, p_width)],
            [mirror * sin * reach / p_height, cos * reach / p_height, _norm(row - top, p_height)],
        ]
    ).float()
    grid = F.affine_grid(theta[None], [1, 1, size, size], align_corners=False)
    # Labels move by one so that "beyond the image" (0) becomes IGNORE when moved back.
    pixels = torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1))).float().div_(255)
    shifted = torch.from_numpy(known.astype(np.float32) + 1)[None, None]
    view = F.grid_sample(
        pixels[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0].numpy()
    found = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)[0, 0].numpy()
    target = (np.rint(found) - 1).astype(np.int16).astype(np.uint8)  # -1 wraps to 255

    view = _relit(view, rng, augmentation)
    if rng.random() < augmentation.hole:
        corner = rng.integers(0, size, 2)
        extent = rng.integers(size // 8, size // 2, 2)
        hole = (slice(corner[0], corner[0] + extent[0]), slice(corner[1], corner[1] + extent[1]))
        view[(slice(None), *hole)] = mean[:, None, None]
        target[hole] = IGNORE
    return view, target


def _centres(length: int, span: float) -> tuple[float, float]:
    """Where a view of `span` pixels may be centred so that it stays inside, if it can."""
    margin = min(span / 2, length / 2)
    return margin, max(margin, length - margin)


def _norm(position: float, length: int) -> float:
    """Pixel position to grid_sample's -1 ... 1."""
    return 2 * position / length - 1


def _relit(
    view: NDArray[np.float32], rng: np.random.Generator, augmentation: Augmentation
) -> NDArray[np.float32]:
    strength = augmentation.light
    bands = len(view)
    if strength > 0:
        if rng.random() < 0.8:
            gamma = math.exp(rng.normal(0, 0.25 * strength))
            gain = np.exp(rng.normal(0, 0.2 * strength) + rng.normal(0, 0.08 * strength, bands))
            offset = rng.normal(0, 0.04 * strength) + rng.normal(0, 0.02 * strength, bands)
            view = np.clip(view, 0, 1) ** gamma
            view = view * gain[:, None, None].astype(np.float32)
            view = view + offset[:, None, None].astype(np.float32)
        if bands > 1 and rng.random() < 0.4:
            grey = view.mean(axis=0, keepdims=True)
            view = grey + (view - grey) * np.float32(rng.uniform(0.0, 1.6))
    if rng.random() < augmentation.blur:
        sigma = rng.uniform(0.4, 1.5)
        view = ndimage.gaussian_filter(view, sigma=(0, sigma, sigma))
    if rng.random() < augmentation.noise:
        noise = rng.standard_normal(view.shape, dtype=np.float32)
        view = view + noise * np.float32(rng.uniform(0.005, 0.04))
    return np.clip(view, 0, 1).astype(np.float32)
