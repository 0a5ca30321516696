"""Generated scenes that no recipe was chosen on, each also as other sensors might show it.

    python benchmarks/recipes/odd_scenes.py FOLDER
    napari-disca evaluate --images FOLDER/images --masks FOLDER/masks --mode one-shot

For every region one scene as it is, and four with red and blue swapped, hazy, dark, and grey.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tifffile import imwrite

from napari_disca.scenes import REGIONS, Scene

#: Of pixels between 0 and 1, bands last.
SIGHTS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "plain": lambda pixels: pixels,
    "swapped": lambda pixels: pixels[..., ::-1],
    "hazy": lambda pixels: 0.45 * pixels + 0.5,
    "dark": lambda pixels: 0.8 * pixels**2.2,
    "grey": lambda pixels: np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1),
}
#: Metres, in turn.
_RESOLUTIONS = (0.6, 1.0, 1.5)
_FIRST_SEED = 9000


def main(arguments: Sequence[str] | None = None) -> int:
    """Write images and masks."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("folder", type=Path, metavar="FOLDER")
    folder: Path = made.parse_args(arguments).folder
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    seen = [(region, sight) for region in REGIONS for sight in SIGHTS]
    for i, (region, sight) in enumerate(seen):
        scene = Scene(
            (768, 768),
            seed=_FIRST_SEED + i,
            region=region,
            ground_resolution=_RESOLUTIONS[i % len(_RESOLUTIONS)],
        )
        image, labels = scene.render()
        pixels = np.clip(SIGHTS[sight](image / 255), 0, 1)
        imwrite(folder / "images" / f"{region}-{sight}.tif", (pixels * 255).astype(np.uint8))
        imwrite(folder / "masks" / f"{region}-{sight}.tif", labels)
    print(f"{len(seen)} scenes in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
