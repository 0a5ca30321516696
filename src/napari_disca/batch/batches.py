"""Group tiles into full batches for the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from napari_disca.inference.predict import Predicted, Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import Pixels

#: Bytes of tiles that wait for a full pass, and of labels that wait for these.
_WAITING_BYTES = 128 << 20


def in_batches(
    tiles: Iterable[Pixels], predictor: Predictor, clicks: TileClicks, batch: int
) -> Iterator[tuple[Pixels, Predicted]]:
    """Labels of tiles, in their order, from passes that are full.

    A pass takes tiles of one form, and one that is not full costs as much as a full one. So a tile
    of a rare form, at a border of the image, waits for others like it, as far as there is room for
    what comes after it.
    """
    forms: dict[Any, list[Pixels]] = {}
    order: deque[tuple[Pixels, Any]] = deque()
    drawn: dict[int, Predicted] = {}
    held = labels = 0

    def draw(form: Any) -> int:
        group = forms.pop(form)
        asked = [(pixels, clicks.of(pixels.tile)) for pixels in group]
        drawn.update(
            (pixels.tile.index, predicted)
            for pixels, predicted in zip(group, predictor.batch(asked), strict=True)
        )
        return sum(_bytes(pixels) for pixels in group)

    def finished() -> Iterator[tuple[Pixels, Predicted]]:
        while order and order[0][0].tile.index in drawn:
            pixels, _ = order.popleft()
            yield pixels, drawn.pop(pixels.tile.index)

    for pixels in tiles:
        form = predictor.batch_key(pixels, clicks.of(pixels.tile))
        order.append((pixels, form))
        forms.setdefault(form, []).append(pixels)
        held += _bytes(pixels)
        if form is None or len(forms[form]) == batch:
            held -= draw(form)
        labels += pixels.window.size
        while order and held + labels > _WAITING_BYTES and order[0][0].tile.index not in drawn:
            held -= draw(order[0][1])
        for done in finished():
            labels -= done[0].window.size
            yield done
    while order:
        if order[0][0].tile.index not in drawn:
            draw(order[0][1])
        yield from finished()


def _bytes(pixels: Pixels) -> int:
    return 0 if pixels.image is None else pixels.image.nbytes
