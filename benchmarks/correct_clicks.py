"""Whether single correct clicks do good, and what clicks that only confirm a map cost.

    python benchmarks/correct_clicks.py --images DIR --masks DIR [--only NAME ...] [--clicks 22]

On three generated scenes, and on parts of the images given, each click is made alone on the
network's map: a pixel with the class that the mask has there, anywhere. It does good where the map
with it (DISIR) has at least as many right pixels as before. Then `--confirming` clicks at once
where the map is right already: what changes of the mean IoU, in points, is what they cost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
from common import machine, parser
from numpy.typing import NDArray

from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.evaluation import Settings
from napari_disca.evaluation.metrics import confusion, mean_iou
from napari_disca.evaluation.study import masks_of, opened
from napari_disca.networks import Network, load_network
from napari_disca.raster import Raster, open_raster
from napari_disca.scenes import Scene
from napari_disca.session.session import Session
from napari_disca.training.pairing import paired

#: Side of the parts, pixels.
_SIDE = 512
_UNKNOWN = 255
_SCENES = ((1, "arid"), (2, "temperate"), (3, "arid"))


def main() -> int:
    """Print a line for each image, and the sums."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--images", help="folder of real images (generated scenes only)")
    flags.add_argument("--masks", help="folder of their masks")
    flags.add_argument("--only", action="append", default=[], help="images to take; repeatable")
    flags.add_argument("--clicks", type=int, default=22, help="single clicks an image")
    flags.add_argument("--confirming", type=int, default=200, help="clicks that confirm")
    arguments = flags.parse_args()
    network = load_network(arguments.network)
    gains: list[int] = []
    confirmed: list[bool] = []
    costs: list[float] = []
    for index, (name, raster, truth) in enumerate(_items(network, arguments)):
        session = Session(raster, network, factor=1.0)
        if not index:
            print(machine(session))
        finish(session.predict(), session.handle)
        rng = np.random.default_rng(index)
        shown = _labels(session, "initial")
        found = [_alone(session, shown, truth, rng) for _ in range(arguments.clicks)]
        gains += [gain for gain, _ in found]
        confirmed += [right for _, right in found]
        costs.append(_cost(session, shown, truth, rng, arguments.confirming))
        labelled = truth != _UNKNOWN
        print(
            f"{name}: {(shown == truth)[labelled].mean():.1%} right; "
            f"{sum(gain >= 0 for gain, _ in found)} of {len(found)} clicks do no harm; "
            f"{arguments.confirming} confirming clicks cost {costs[-1]:.2f} points"
        )
    gained, right = np.array(gains), np.array(confirmed)
    print(
        f"all: {np.mean(gained >= 0):.1%} of {len(gained)} do no harm ({right.sum()} confirm: "
        f"{np.mean(gained[right] >= 0):.1%}, {(~right).sum()} correct: "
        f"{np.mean(gained[~right] > 0):.1%} do good, {gained[~right].mean():.0f} pixels on the "
        f"mean); confirming clicks cost {np.mean(costs):.2f} points, at most {max(costs):.2f}"
    )
    return 0


def _items(
    network: Network, arguments: argparse.Namespace
) -> Iterator[tuple[str, Raster, NDArray[np.uint8]]]:
    for seed, region in _SCENES:
        scene = Scene((_SIDE, _SIDE), seed=seed, region=region, ground_resolution=1.0)
        picture, truth = scene.render()
        yield f"scene {seed}", open_raster(picture), truth
    if not arguments.images:
        return
    found = paired(arguments.images, arguments.masks).pairs
    chosen = [p for p in found if not arguments.only or any(n in p.name for n in arguments.only)]
    masks = masks_of(chosen, network, Settings())
    for pair in chosen:
        with opened(pair, None, masks) as (raster, _):
            window = Window(0, 0, _SIDE, _SIDE) & Window.whole(raster.shape)
        with opened(pair, window, masks) as (part, truth):
            yield pair.name, part, truth


def _labels(session: Session, name: str) -> NDArray[np.uint8]:
    return session.maps[name].read(Window.whole(session.raster.shape)).copy()


def _alone(
    session: Session, shown: NDArray[np.uint8], truth: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[int, bool]:
    """How many more pixels one click gets right, and whether it confirms the map."""
    rows, cols = np.nonzero(truth != _UNKNOWN)
    at = rng.integers(len(rows))
    row, col = int(rows[at]), int(cols[at])
    session.document.click(row, col, int(truth[row, col]))
    finish(session.refresh(("disir",)), session.handle)
    gain = int((_labels(session, "disir") == truth).sum()) - int((shown == truth).sum())
    session.document.undo()
    return gain, bool(shown[row, col] == truth[row, col])


def _cost(
    session: Session,
    shown: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    rng: np.random.Generator,
    count: int,
) -> float:
    """Points of mean IoU that clicks which confirm the map take away; below 0: they add."""
    rows, cols = np.nonzero((shown == truth) & (truth != _UNKNOWN))
    for at in rng.choice(len(rows), min(count, len(rows)), replace=False):
        session.document.click(int(rows[at]), int(cols[at]), int(truth[rows[at], cols[at]]))
    finish(session.refresh(("disir",)), session.handle)
    classes = len(session.document.classes)
    before, after = (
        mean_iou(confusion(labels, truth, classes)) for labels in (shown, _labels(session, "disir"))
    )
    return 100 * (before - after)


if __name__ == "__main__":
    sys.exit(main())
