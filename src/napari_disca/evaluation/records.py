"""Records of measurements, one per image and recipe, as a table and as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_disca.core.events import Event
from napari_disca.storage.atomic import replacing

Mode = Literal["sequential", "one-shot"]


@dataclass(frozen=True, slots=True)
class Record(Event):
    """The result of one recipe on one image. Shares and IoUs are 0 to 1.

    Attributes
    ----------
    image, recipe : str
    mode : {"sequential", "one-shot"}
    clicks : int
        Number of clicks made; fewer than asked for if no error was left.
    miou : tuple of float or None
        Mean IoU over the classes present in the reference; the index is the number of clicks so
        far. After the last error the last value is repeated; None where it was not measured
        (in one-shot mode, between no click and all).
    iou_per_class : dict of str to float
        IoU of the final map by class name.
    collateral : float or None
        Share of the pixels right before any click that are wrong in the final map; None if none
        was right.
    collateral_inside, collateral_outside : float or None
        The same in tiles with clicks, and in others.
    kept_clicks : float or None
        Share of clicks that are right in the final map.
    seconds : float or None
        Mean time to adapt and redraw the map; None without a click.
    refused : int
        Adaptations that were not adopted because their result was not finite.
    factor : float
        Network pixels per image pixel.
    placed : tuple of (row, col, class)
        The clicks as given to the network, on the image's grid.
    disir : tuple of float or None
        Mean IoU of DISIR with the same clicks, as in `miou`; empty for a recipe that does not
        learn. In sequential mode each recipe gets other clicks, since a click a few pixels away
        changes all that follow, which alone changes an image's IoU at the tenth click by about
        two points. A comparison with this value is free of that.
    verdicts : int
        Regions that the annotator accepted or rejected.
    gestures : tuple of int or None
        Clicks and verdicts so far, as in `miou`: the verdicts that follow an adaptation belong to
        its last click.
    """

    image: str
    recipe: str
    mode: Mode
    clicks: int
    miou: tuple[float | None, ...]
    iou_per_class: dict[str, float]
    collateral: float | None
    collateral_inside: float | None
    collateral_outside: float | None
    kept_clicks: float | None
    seconds: float | None
    refused: int = 0
    factor: float = 1.0
    placed: tuple[tuple[int, int, int], ...] = ()
    disir: tuple[float | None, ...] = ()
    verdicts: int = 0
    gestures: tuple[int | None, ...] = ()

    @property
    def before(self) -> float:
        """Mean IoU of the initial map."""
        return _number(self.miou[0])

    @property
    def after(self) -> float:
        """Mean IoU with all clicks."""
        return _number(self.miou[-1])

    @property
    def gain(self) -> float:
        """Gain in mean IoU by all clicks."""
        return self.after - self.before

    @property
    def over_disir(self) -> float:
        """Gain in mean IoU over DISIR with the same clicks; NaN if unknown."""
        return self.after - _number(self.disir[-1]) if self.disir else math.nan


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def write_json(records: Sequence[Record], path: str | os.PathLike[str]) -> Path:
    """Write the records as a JSON list, in one piece or not at all; return the path.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    path = Path(path)
    # JSON lacks NaN; a mean IoU that does not exist becomes null.
    rows = [without_nan(asdict(record)) for record in records]
    with replacing(path) as temporary:
        text = ",\n".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
        temporary.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    return path


def without_nan(value: Any) -> Any:
    """Return lists and dictionaries with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def clicks_to_target(records: Iterable[Record], target: float) -> float:
    """Return the mean number of clicks until the mean IoU reaches `target`, 0 to 1.

    An image that never reaches it counts one click more than allowed; NaN without images.
    """
    needed = [
        next((k for k, v in enumerate(r.miou) if v is not None and v >= target), len(r.miou))
        for r in records
    ]
    return float(np.mean(needed)) if needed else math.nan


#: After the clicks; the last but one are `Record`'s shares.
_COLUMNS = (
    *("gain", "worst vs disir", "same clicks", "worst"),
    *("collateral", "inside", "outside", "kept", "s/answer"),
)


def gestures_to_target(records: Iterable[Record], target: float) -> float:
    """Return the mean number of clicks and verdicts until the mean IoU reaches `target`, 0 to 1.

    An image that never reaches it counts one more than it got; NaN without images.
    """
    needed = []
    for record in records:
        made = record.gestures or tuple(range(len(record.miou)))
        counted = [
            count
            for count, value in zip(made, record.miou, strict=True)
            if count is not None and value is not None and value >= target
        ]
        needed.append(counted[0] if counted else max(filter(None, made), default=0) + 1)
    return float(np.mean(needed)) if needed else math.nan


def summary(records: Sequence[Record]) -> str:
    """Return a table with one line per recipe: means over images, in percent.

    The gain has its standard error; `worst vs disir` is the image where the recipe is worst against
    ``disir``, in points; `same clicks` is the gain over DISIR with the recipe's own clicks, and its
    worst image; collateral, inside and outside are shares of the pixels that were right before.
    """
    rows = summary_rows(records)
    return _table(rows[0], rows[1:]) if rows[1:] else "nothing was measured"


def summary_rows(records: Sequence[Record]) -> list[list[str]]:
    """Return the rows of the table of `summary`, the header first."""
    if not records:
        return [["recipe"]]
    last = max(len(record.miou) for record in records) - 1
    shown = [k for k in (1, 3, 5, 10, 20, 50) if k < last] + ([last] if last else [])
    judged = any(record.verdicts for record in records)
    header = [
        "recipe",
        "mode",
        "images",
        "before",
        *(f"{k} click{'s' * (k > 1)}" for k in shown),
        *_COLUMNS,
        *(("verdicts", "gestures") if judged else ()),
    ]
    baseline = {(r.image, r.mode): r.after for r in records if r.recipe == "disir"}
    rows = []
    for recipe, mode in dict.fromkeys((r.recipe, r.mode) for r in records):
        chosen = [r for r in records if (r.recipe, r.mode) == (recipe, mode)]
        against = [
            r.after - baseline[r.image, r.mode]
            for r in chosen
            if recipe != "disir" and (r.image, r.mode) in baseline
        ]
        same = [r.over_disir for r in chosen]
        seconds = _numbers([r.seconds for r in chosen])
        refused = sum(r.refused for r in chosen)
        rows.append(
            [
                recipe + (f" ({refused} refused)" if refused else ""),
                mode,
                str(len(_numbers([r.before for r in chosen]))),
                *(_mean([_at(r, k) for r in chosen]) for k in (0, *shown)),
                _gain([r.gain for r in chosen]),
                _worst(against),
                _gain(same),
                _worst(same),
                *(
                    _mean([getattr(r, field) for r in chosen])
                    for field in (
                        "collateral",
                        "collateral_inside",
                        "collateral_outside",
                        "kept_clicks",
                    )
                ),
                f"{np.mean(seconds):.2f}" if seconds else "-",
                *((_count(r.verdicts for r in chosen),) if judged else ()),
                *((_count(r.clicks + r.verdicts for r in chosen),) if judged else ()),
            ]
        )
    return [header, *rows]


def _at(record: Record, clicks: int) -> float | None:
    return record.miou[clicks] if clicks < len(record.miou) else None


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [v for v in values if v is not None and math.isfinite(v)]


def _mean(values: Sequence[float | None]) -> str:
    numbers = _numbers(values)
    return f"{100 * float(np.mean(numbers)):.1f}" if numbers else "-"


def _count(values: Iterable[int]) -> str:
    return f"{np.mean(list(values)):.1f}"


def _gain(values: Sequence[float]) -> str:
    numbers = _numbers(values)
    if not numbers:
        return "-"
    error = f" ± {100 * standard_error(numbers):.1f}" if numbers[1:] else ""
    return f"{100 * np.mean(numbers):+.1f}{error}"


def _worst(values: Sequence[float]) -> str:
    numbers = _numbers(values)
    return f"{100 * min(numbers):+.1f}" if numbers else "-"


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean; NaN for fewer than two values."""
    if len(values) < 2:
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)
