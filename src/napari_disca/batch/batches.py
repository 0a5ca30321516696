"""Groups tiles into full batches for the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from napari_disca.inference.predict import Predicted, Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import Pixels

#: Bytes of tiles that wait for a full batch, and of labels that wait for these tiles.
_WAITING_BYTES = 128 << 20


def in_batches(
    tiles: Iterable[Pixels], predictor: Predictor, clicks: TileClicks, batch: int
) -> Iterator[tuple[Pixels, Predicted]]:
    """Yield the labels of tiles in the order of the tiles, predicted in full batches.

    The tiles of a batch have the same `Predictor.batch_key`, and a batch that is not full costs as
    much as a full one. A tile of a rare kind, for instance at the image's border, therefore waits
    for others of its kind, until the tiles and labels that wait take 128 MiB.

    Parameters
    ----------
    tiles : iterable of Pixels
    predictor : Predictor
    clicks : TileClicks
    batch : int
        Tiles in a full batch.
    """
    groups: dict[Any, list[Pixels]] = {}
    order: deque[tuple[Pixels, Any]] = deque()
    results: dict[int, Predicted] = {}
    waiting_bytes = label_bytes = 0

    def predict(key: Any) -> int:
        """Predict the tiles with a key; return their bytes."""
        group = groups.pop(key)
        inputs = [(pixels, clicks.of(pixels.tile)) for pixels in group]
        results.update(
            (pixels.tile.index, predicted)
            for pixels, predicted in zip(group, predictor.batch(inputs), strict=True)
        )
        return sum(_bytes(pixels) for pixels in group)

    def finished() -> Iterator[tuple[Pixels, Predicted]]:
        while order and order[0][0].tile.index in results:
            pixels, _ = order.popleft()
            yield pixels, results.pop(pixels.tile.index)

    for pixels in tiles:
        key = predictor.batch_key(pixels, clicks.of(pixels.tile))
        order.append((pixels, key))
        groups.setdefault(key, []).append(pixels)
        waiting_bytes += _bytes(pixels)
        if key is None or len(groups[key]) == batch:
            waiting_bytes -= predict(key)
        label_bytes += pixels.window.size
        while (
            order
            and waiting_bytes + label_bytes > _WAITING_BYTES
            and order[0][0].tile.index not in results
        ):
            waiting_bytes -= predict(order[0][1])
        for done in finished():
            label_bytes -= done[0].window.size
            yield done
    while order:
        if order[0][0].tile.index not in results:
            predict(order[0][1])
        yield from finished()


def _bytes(pixels: Pixels) -> int:
    return 0 if pixels.image is None else pixels.image.nbytes
