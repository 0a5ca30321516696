"""Large images with reference masks: the parts of an area joined again.

    python benchmarks/mosaics.py --data DATA/satellite_landcover --area tile3 --area tile5 -o DIR

Ten clicks on a small part are felt nearly everywhere by guidance alone. On a large part they are
not: what happens away from them is what was learned. The parts of an area of the land-cover images
(`tile3_part001.jpg` … `tile3_part009.jpg`, equal in size, a 3 x 3 grid in row order) are written as
one image, `DIR/images/tile3.tif`, and one mask, `DIR/masks/tile3.tif`, that `napari-disca
evaluate` reads. Neighbours that do not fit together at their common edge are refused.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

#: Parts a side of an area.
GRID = 3
#: Mean difference of brightness across a common edge, of 255, above which parts are no neighbours.
_LARGEST_STEP = 40.0


def joined(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The parts of an area, in row order, as one array (height, width[, bands]).

    Raises
    ------
    ValueError
        If they are not nine parts of about one size.
    """
    if len(parts) != GRID * GRID:
        raise ValueError(f"an area has {GRID * GRID} parts, not {len(parts)}")
    height = min(part.shape[0] for part in parts)
    width = min(part.shape[1] for part in parts)
    if any(max(p.shape[0] - height, p.shape[1] - width) > 2 for p in parts):
        raise ValueError("parts of an area have one size, these differ by more than 2 pixels")
    rows = [
        np.concatenate([p[:height, :width] for p in parts[i : i + GRID]], axis=1)
        for i in range(0, len(parts), GRID)
    ]
    return np.concatenate(rows, axis=0)


def step_at_edges(image: NDArray[np.uint8]) -> float:
    """Mean difference of brightness across the edges between parts, 0 to 255."""
    height, width = image.shape[0] // GRID, image.shape[1] // GRID
    steps = [
        np.abs(image[k * height - 1].astype(float) - image[k * height]).mean()
        for k in range(1, GRID)
    ]
    steps += [
        np.abs(image[:, k * width - 1].astype(float) - image[:, k * width]).mean()
        for k in range(1, GRID)
    ]
    return float(np.mean(steps))


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels[..., None] if pixels.ndim == 2 else pixels
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[0], width=bands.shape[1],
        count=bands.shape[2], dtype="uint8", tiled=True, compress="deflate",
    ) as file:  # fmt: skip
        file.write(bands.transpose(2, 0, 1))


def main() -> int:
    """Join the areas that were asked for."""
    parse = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parse.add_argument("--data", type=Path, required=True, help="folder with images/ and masks/")
    parse.add_argument("--area", action="append", required=True, help="such as tile3")
    parse.add_argument("-o", "--output", type=Path, required=True)
    args = parse.parse_args()
    for area in args.area:
        files = sorted((args.data / "images").glob(f"{area}_part*.jpg"))
        image = joined([np.asarray(Image.open(f).convert("RGB")) for f in files])
        if (step := step_at_edges(image)) > _LARGEST_STEP:
            print(f"{area}: its parts do not fit together (step {step:.0f} of 255)")
            return 1
        masks = [args.data / "masks" / f"{f.stem}.png" for f in files]
        mask = joined([np.asarray(Image.open(f)) for f in masks])
        _write(args.output / "images" / f"{area}.tif", image)
        _write(args.output / "masks" / f"{area}.tif", mask)
        print(f"{area}: {image.shape[1]} x {image.shape[0]} pixels, step {step:.0f} at the edges")
    return 0


if __name__ == "__main__":
    sys.exit(main())
