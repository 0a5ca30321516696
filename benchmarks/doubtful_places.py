"""What ten clicks are worth at the doubtful places of a review, and where errors are known.

    python benchmarks/doubtful_places.py --images DIR --masks DIR --only tile2,tile3

Simulated annotators correct the same images with DISIR, each click on the map as it is by then:

* *review* goes from one doubtful place to the next and clicks in the middle of the largest error in
  it; a place without an error is passed. This annotator knows nothing but what the review shows.
* *glances* does the same in windows at random, of 128 x 128 pixels that the network reads: looking
  around without a review.
* *random errors* clicks on errors at random, larger ones more often
  (`simulated_annotator.error_clicks`). This annotator knows all errors beforehand, which nobody
  who needs a review does.

Figures are mean IoU in percent, with standard errors over images; those who draw at random do it
`--repeats` times and count with their mean. Errors of less than 64 pixels of the network's grid
are left alone. For masks with fewer classes than the network: `--class-map building=1,*=0`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
from common import machine, parser
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click
from napari_disca.annotations.simulated_annotator import error_clicks
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.evaluation import Settings
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.protocol import _Image, _reference_on_data
from napari_disca.evaluation.records import standard_error
from napari_disca.evaluation.study import chosen_items, masks_of, opened
from napari_disca.networks import load_network
from napari_disca.networks.compute import Compute
from napari_disca.recipes import RECIPES
from napari_disca.session.regions.doubtful_places import DoubtfulPlaces
from napari_disca.session.session import Session
from napari_disca.training.pairing import hold_out, pairs

WAYS = ("review", "glances", "random errors")
#: Places that an annotator looks at before giving up, for each click.
_PATIENCE = 10
_SMALLEST = 64
_GLANCE = 128


class Annotator:
    """Corrects one image in one way after the other.

    Parameters
    ----------
    session : Session
        With its first map drawn.
    reference : (height, width) array of uint8
    classes : ClassMap
    clicks : int
        How many an image gets at most.
    """

    def __init__(
        self, session: Session, reference: NDArray[np.uint8], classes: ClassMap, clicks: int
    ) -> None:
        self.session, self.clicks = session, clicks
        self._reference = reference
        self._measured = _Image(session, session, reference, classes, Settings())
        #: Places that were looked at in vain.
        self.passed = 0
        self._area = round(_SMALLEST / session.network_view.factor**2)

    def correct(self, way: str, seed: int) -> tuple[float, float, int]:
        """Mean IoU before and after, and how many clicks were made."""
        session, measured = self.session, self._measured
        session.document.go(0)
        finish(session.refresh(("disir",)), session.handle)
        before, count, self.passed = measured._miou(measured._labels(session, "disir")), 0, 0
        rng = np.random.default_rng(seed)
        found = self._random_errors(rng) if way == "random errors" else self._looking(way, rng)
        for click in found:
            fit = measured._network_class(click)
            session.document.click(fit.row, fit.col, fit.label)
            finish(measured._answer(RECIPES["disir"], Progress(way, count, self.clicks)))
            count += 1
            if count == self.clicks:
                break
        return before, measured._miou(measured._labels(session, "disir")), count

    def _random_errors(self, rng: np.random.Generator) -> Iterator[Click]:
        while found := self._errors(Window.whole(self._reference.shape), rng):
            yield found[0]

    def _looking(self, way: str, rng: np.random.Generator) -> Iterator[Click]:
        session, review = self.session, DoubtfulPlaces(self.session.network_view)
        height, width = session.raster.shape
        side = min(height, width, round(_GLANCE / session.network_view.factor))
        for _ in range(_PATIENCE * self.clicks):
            if way == "review":
                stop = review.next(session.uncertainty["disir"], session.document.clicks)
                if stop is None:
                    return
                window = stop[0].window
            else:
                top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
                window = Window(int(top), int(left), side, side)
            if found := self._errors(window):
                yield found[0]
            else:
                self.passed += 1

    def _errors(self, window: Window, rng: np.random.Generator | None = None) -> list[Click]:
        """The click on an error in a window of the map as it is."""
        labels, reference = self._measured._labels(self.session, "disir"), self._reference
        fresh = np.ones(labels.shape, dtype=np.bool_)
        for click in self.session.document.clicks:
            fresh[click.pixel] = False
        cut = window.slices
        found = error_clicks(
            labels[cut], reference[cut], 1, valid=fresh[cut], rng=rng, min_area=self._area
        )
        return [Click(c.row + window.top, c.col + window.left, c.label) for c in found]


def main() -> int:
    """Print a line per image, and the means."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--images", type=Path, required=True)
    flags.add_argument("--masks", type=Path, required=True)
    flags.add_argument("--only", default="", help="names or parts of names, joined by commas")
    flags.add_argument("--class-map", help="such as building=1,*=0")
    flags.add_argument("--scale", type=float, help="network pixels per image pixel")
    flags.add_argument("--crop", type=int, help="side of the parts that images are cut into")
    flags.add_argument("--max-images", type=int)
    flags.add_argument("--clicks", type=int, default=10)
    flags.add_argument("--repeats", type=int, default=2)
    arguments = flags.parse_args()
    network = load_network(arguments.network)
    names = network.card.classes
    classes = ClassMap.parse(arguments.class_map or "", names) if arguments.class_map else None
    settings = Settings(
        crop=arguments.crop, max_images=arguments.max_images, class_map=classes, coding="ids"
    )
    classes = settings.classes_of(network)
    found = pairs(arguments.images, arguments.masks)
    if arguments.only:
        _, found = hold_out(found, arguments.only.split(","))
    compute = Compute.choose(precision="float32")
    gains: dict[str, list[float]] = {way: [] for way in WAYS}
    befores = []
    headed = False
    masks = masks_of(found, network, settings)
    items, _ = chosen_items(found, network.card, classes, masks, settings)
    for pair, window in items:
        with opened(pair, window, masks) as (part, reference):
            session = Session(part, network, factor=arguments.scale, compute=compute)
            if not headed:
                print(machine(session), flush=True)
                headed = True
            with closing(session.predict()) as job:
                finish(job, session.handle)
            annotator = Annotator(
                session,
                _reference_on_data(reference, session.network_view),
                classes,
                arguments.clicks,
            )
            line = []
            for way in WAYS:
                runs = []
                for seed in range(1 if way == "review" else arguments.repeats):
                    before, after, count = annotator.correct(way, seed)
                    runs.append(100 * (after - before))
                    line.append(f"{way} {runs[-1]:+.1f} ({count}, {annotator.passed} passed)")
                gains[way].append(float(np.mean(runs)))
            befores.append(100 * before)
            print(f"{part.name} {part.shape}: {befores[-1]:.1f}; {'; '.join(line)}", flush=True)
    print(f"before: {_mean(befores)} over {len(befores)} images")
    for way in WAYS:
        print(f"{way}: {_mean(gains[way])}")
    for way in WAYS[1:]:
        ahead = [a - b for a, b in zip(gains["review"], gains[way], strict=True)]
        print(f"review against {way}: {_mean(ahead)}")
    return 0


def _mean(figures: list[float]) -> str:
    return f"{np.mean(figures):.1f} ± {standard_error(figures):.1f}"


if __name__ == "__main__":
    sys.exit(main())
