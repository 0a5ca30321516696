"""The bold end: five clicks on what a network missed, at strengths from 0 to 3.

    python benchmarks/bold.py --image IMAGE --mask MASK [--class 0 --mask-value 1] [--clicks 5]
                              [--factor F] [--strength 0 --strength 1 ...] [-o PICTURE.png]

The network segments the image. Clicks in the middle of the largest missed pieces of one class (a
random choice of the sixty largest) say that class. One *Adapt*; then each strength is rendered,
and a line tells the share of the class that is right and its IoU. `-o` draws the maps beside each
other, in the class colours, without the image.
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import rasterio
from common import machine, parser
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_disca.annotations.clicks import Click
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import recipe_named
from napari_disca.session.session import Session

#: Of how many missed pieces the clicked ones are chosen.
_LARGEST = 60
#: Height of each map in the picture, pixels.
_HEIGHT = 480


def missed(
    labels: NDArray[np.uint8], wanted: NDArray[np.bool_], class_id: int, count: int
) -> list[Click]:
    """Clicks in the middle of some of the largest pieces of a class that a map misses."""
    reference = np.where(wanted, class_id, IGNORE).astype(np.uint8)
    largest = error_clicks(labels, reference, _LARGEST)
    chosen = np.random.default_rng(1).choice(len(largest), min(count, len(largest)), replace=False)
    return [largest[index] for index in chosen]


def main() -> int:
    """Print a line for each strength."""
    flags = parser((__doc__ or "").splitlines()[0])
    flags.add_argument("--image", type=Path, required=True)
    flags.add_argument("--mask", type=Path, required=True)
    flags.add_argument("--class", dest="class_id", type=int, default=0, help="class of the network")
    flags.add_argument("--mask-value", type=int, default=1, help="the same class in the mask")
    flags.add_argument("--clicks", type=int, default=5)
    flags.add_argument("--factor", type=float, help="reading factor; by ground resolution if left")
    flags.add_argument("--strength", type=float, action="append")
    flags.add_argument("-o", "--output", type=Path, help="PNG with the maps beside each other")
    args = flags.parse_args()
    network = load_network(args.network)
    with rasterio.open(args.mask) as file:
        truth = file.read(1)
    with open_raster(args.image) as raster:
        if truth.shape != raster.shape:
            print(f"the mask has {truth.shape} pixels, the image {raster.shape}")
            return 1
        wanted = truth == args.mask_value
        session = Session(raster, network, factor=args.factor)
        print(machine(session))
        whole = Window.whole(raster.shape)
        shown: list[tuple[str, NDArray[np.uint8]]] = []

        def tell(name: str, kind: str) -> None:
            labels = session.maps[kind].read(whole).copy()
            right = (labels == args.class_id) & wanted
            either = ((labels == args.class_id) | wanted) & (truth != IGNORE)
            line = f"{right.sum() / wanted.sum():.1%} right, IoU {right.sum() / either.sum():.1%}"
            print(f"{name}: {line}")
            shown.append((f"{name}: {line}", labels))

        finish(session.predict(), session.handle)
        tell("before any click", "initial")
        for click in missed(shown[0][1], wanted, args.class_id, args.clicks):
            session.document.click(click.row, click.col, click.label)
        finish(session.adapt(recipe_named("default")), session.handle)
        tell("near the clicks (DISIR)", "disir")
        for strength in args.strength or [1.0, 2.0, 3.0]:
            if session.proposals.strength != strength:
                session.proposals.set_strength(strength)
                finish(session.refresh(("disca",)), session.handle)
            tell(f"strength {strength:g}", "disca")
        colours = np.zeros((256, 3), np.uint8)
        for index, item in enumerate(network.card.classes):
            colours[index] = item.rgb
        session.close()
    if args.output is not None:
        _draw(shown, colours, args.output)
    return 0


def _draw(maps: list[tuple[str, NDArray[np.uint8]]], colours: NDArray[np.uint8], to: Path) -> None:
    height, width = maps[0][1].shape
    across = round(width * _HEIGHT / height)
    picture = Image.new("RGB", ((across + 8) * len(maps), _HEIGHT + 20), "white")
    pen = ImageDraw.Draw(picture)
    for index, (title, labels) in enumerate(maps):
        small = Image.fromarray(colours[labels]).resize((across, _HEIGHT), Image.Resampling.NEAREST)
        picture.paste(small, (index * (across + 8), 20))
        pen.text((index * (across + 8) + 2, 4), title, fill="black")
    picture.save(to)


if __name__ == "__main__":
    sys.exit(main())
