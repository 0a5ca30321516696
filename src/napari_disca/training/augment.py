"""Draws random views of a labelled image: other scale, rotation and light.

Augmentation is strong because the training sets are small and the maps must hold on images from
other sensors, seasons and places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage
from torch.nn import functional as F

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.raster.values.scaling import clipped


def _chance(of: str) -> dict[str, Any]:
    return {"min": 0.0, "max": 1.0, "tooltip": f"Chance of {of}"}


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much crops vary.

    Parameters
    ----------
    scale : (float, float)
        Smallest and largest magnification.
    turn : float
        Probability of a rotation by any angle; other views are rotated by quarter turns.
    light : float
        Strength of brightness, contrast, gamma and colour changes; 0 leaves colours alone.
    blur, noise, hole : float
        Probabilities of a blur, of sensor noise, and of a rectangle without data.
    sensor : float
        Probability of other bands: each becomes a mixture of all, with its own stretch.
    haze, shadow : float
        Probabilities of uneven haze, and of the shadow of a cloud.
    coarse : float
        Probability of a coarser resolution: pixels are averaged, then enlarged again.
    jpeg : float
        Probability of JPEG artefacts.
    """

    scale: tuple[float, float] = field(default=(0.5, 2.0))
    turn: float = field(default=0.5, metadata=_chance("a rotation by any angle"))
    light: float = field(
        default=1.0, metadata={"min": 0.0, "max": 5.0, "tooltip": "Strength of colour changes"}
    )
    blur: float = field(default=0.25, metadata=_chance("a blur"))
    noise: float = field(default=0.3, metadata=_chance("sensor noise"))
    hole: float = field(default=0.1, metadata=_chance("a rectangle without data"))
    sensor: float = field(default=0.3, metadata=_chance("another sensor's bands"))
    haze: float = field(default=0.15, metadata=_chance("haze"))
    shadow: float = field(default=0.15, metadata=_chance("the shadow of a cloud"))
    coarse: float = field(default=0.15, metadata=_chance("pixels that were coarser once"))
    jpeg: float = field(default=0.2, metadata=_chance("traces of JPEG"))


def random_crop(
    image: NDArray[np.uint8] | NDArray[np.int16],
    labels: NDArray[np.uint8],
    size: int,
    rng: np.random.Generator,
    augmentation: Augmentation,
    mean: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return one random view of a labelled image.

    Parameters
    ----------
    image : (height, width, bands) array of uint8 or int16
        Scaled values times 255.
    labels : (height, width) array of uint8
    size : int
        Side of the crop in pixels.
    rng : numpy.random.Generator
    augmentation : Augmentation
    mean : (bands,) array of float32
        Value of pixels without data.

    Returns
    -------
    (bands, size, size) array of float32 and (size, size) array of uint8
        The view and its labels, `IGNORE` outside the image.
    """
    view, target = _sampled(image, labels, size, rng, augmentation)
    view = _relit(view, rng, augmentation)
    if rng.random() < augmentation.hole:
        corner = rng.integers(0, size, 2)
        extent = rng.integers(size // 8, size // 2, 2)
        hole = (slice(corner[0], corner[0] + extent[0]), slice(corner[1], corner[1] + extent[1]))
        view[(slice(None), *hole)] = mean[:, None, None]
        target[hole] = IGNORE
    return view, target


def _sampled(
    image: NDArray[np.uint8] | NDArray[np.int16],
    labels: NDArray[np.uint8],
    size: int,
    rng: np.random.Generator,
    augmentation: Augmentation,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return a view at a random scale and rotation."""
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
    patch_labels = labels[top : int(row) + half + 1, left : int(col) + half + 1]
    if scale < 0.8:
        # Averaged before sampling, as a sensor does; otherwise thin roads become dots.
        patch = ndimage.uniform_filter(patch, size=(round(1 / scale), round(1 / scale), 1))

    cos, sin = math.cos(angle), math.sin(angle)
    reach = size / scale  # the view spans this many source pixels
    p_height, p_width = patch_labels.shape
    theta = torch.tensor(
        [
            [mirror * cos * reach / p_width, -sin * reach / p_width, _norm(col - left, p_width)],
            [mirror * sin * reach / p_height, cos * reach / p_height, _norm(row - top, p_height)],
        ]
    ).float()
    grid = F.affine_grid(theta[None], [1, 1, size, size], align_corners=False)
    # Labels move by one so that "beyond the image" (0) becomes IGNORE when moved back.
    pixels = torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1))).float().div_(255)
    shifted = torch.from_numpy(patch_labels.astype(np.float32) + 1)[None, None]
    view = F.grid_sample(
        pixels[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0].numpy()
    found = F.grid_sample(shifted, grid, mode="nearest", align_corners=False)[0, 0].numpy()
    target = (np.rint(found) - 1).astype(np.int16).astype(np.uint8)  # -1 wraps to 255
    return view, target


def _centres(length: int, span: float) -> tuple[float, float]:
    """Return the range of centres for which a view of `span` pixels stays inside, if it can."""
    margin = min(span / 2, length / 2)
    return margin, max(margin, length - margin)


def _norm(position: float, length: int) -> float:
    """Return a pixel position in grid_sample's range, -1 ... 1."""
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
            view = np.sign(view) * np.abs(view) ** np.float32(gamma)
            view = view * gain[:, None, None].astype(np.float32)
            view = view + offset[:, None, None].astype(np.float32)
        if bands > 1 and rng.random() < 0.4:
            grey = view.mean(axis=0, keepdims=True)
            view = grey + (view - grey) * np.float32(rng.uniform(0.0, 1.6))
    if bands > 1 and rng.random() < augmentation.sensor:
        view = _other_sensor(view, rng)
    if rng.random() < augmentation.haze:
        thick = rng.uniform(0.1, 0.5) * _smooth_field(view.shape[1:], rng)
        colour = rng.uniform(0.6, 0.95) + rng.normal(0, 0.03, (bands, 1, 1))
        view = view * (1 - thick) + colour.astype(np.float32) * thick
    if rng.random() < augmentation.shadow:
        edge = np.clip(6 * (_smooth_field(view.shape[1:], rng) - rng.uniform(0.4, 0.7)), 0, 1)
        view = view * (1 - np.float32(rng.uniform(0.2, 0.6)) * edge)
    if rng.random() < augmentation.coarse:
        view = _coarse(view, rng.uniform(1.3, 3.0))
    if rng.random() < augmentation.blur:
        sigma = rng.uniform(0.4, 1.5)
        view = ndimage.gaussian_filter(view, sigma=(0, sigma, sigma))
    if rng.random() < augmentation.noise:
        noise = rng.standard_normal(view.shape, dtype=np.float32)
        view = view + noise * np.float32(rng.uniform(0.005, 0.04))
    view = clipped(view)
    if rng.random() < augmentation.jpeg:
        view = _jpeg(view, rng.uniform(20, 80))
    return view.astype(np.float32)


def _other_sensor(view: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the view with slightly mixed bands, each stretched between two of its percentiles."""
    bands = len(view)
    mixture = np.eye(bands) + rng.normal(0, 0.15, (bands, bands))
    mixture /= mixture.sum(axis=1, keepdims=True)
    view = np.einsum("ij,jhw->ihw", mixture.astype(np.float32), view)
    low, high = np.percentile(view[:, ::4, ::4], (2, 98), axis=(1, 2))
    dark, bright = rng.uniform(0, 0.25), rng.uniform(0.6, 1.0)
    share = np.float32(rng.uniform(0.3, 1.0))
    scale = (bright - dark) / np.maximum(high - low, 0.05)
    stretched = dark + (view - low[:, None, None]) * scale[:, None, None]
    mixed: NDArray[np.float32] = view + share * (stretched.astype(np.float32) - view)
    return mixed


def _smooth_field(shape: Sequence[int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random field from 0 to 1 that varies over a third of the view."""
    coarse = torch.from_numpy(rng.random((1, 1, 4, 4), dtype=np.float32))
    field = F.interpolate(coarse, size=tuple(shape), mode="bicubic", align_corners=True)[0, 0]
    smooth: NDArray[np.float32] = np.clip(field.numpy(), 0, 1)
    return smooth


def _coarse(view: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return the view averaged to pixels `factor` times as wide, and enlarged again."""
    size = tuple(view.shape[1:])
    small = tuple(max(8, round(side / factor)) for side in size)
    pixels = F.interpolate(
        torch.from_numpy(np.ascontiguousarray(view, dtype=np.float32))[None],
        size=small,
        mode="bilinear",
        antialias=True,
    )
    enlarged: NDArray[np.float32] = F.interpolate(pixels, size=size, mode="bilinear")[0].numpy()
    return enlarged


#: JPEG's example table for luminance (ITU-T T.81, annex K); only ratios of its entries matter.
_QUANTA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float32,
)


def _jpeg(view: NDArray[np.float32], quality: float) -> NDArray[np.float32]:
    """Return each band as after JPEG of a quality: 8 x 8 cosine transforms, quantised."""
    bands, height, width = view.shape
    if height % 8 or width % 8:
        return view
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    blocks = view.reshape(bands, height // 8, 8, width // 8, 8).transpose(0, 1, 3, 2, 4)
    quanta = np.maximum(_QUANTA * np.float32(scale), 1)
    frequencies = fft.dctn(blocks * 255 - 128, axes=(3, 4), norm="ortho")
    frequencies = np.rint(frequencies / quanta) * quanta
    blocks = (fft.idctn(frequencies, axes=(3, 4), norm="ortho") + 128) / 255
    joined = blocks.transpose(0, 1, 3, 2, 4).reshape(bands, height, width)
    left: NDArray[np.float32] = np.clip(joined, 0, 1).astype(np.float32)
    return left
