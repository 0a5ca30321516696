"""Tables and plots of what the study has measured.

    python benchmarks/recipes/report.py           # prints the tables
    python benchmarks/recipes/report.py --write   # also into docs/recipes.md, with plots

The plots need matplotlib: pip install "napari-disca[study]".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from regimes import REGIMES
from results import FOLDER, Results

from napari_disca.core.errors import DataError, DiscaError
from napari_disca.evaluation import Record, clicks_to_target
from napari_disca.evaluation.records import Mode, standard_error
from napari_disca.storage.atomic import replacing

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: What `--write` replaces in the page.
BEGIN, END = "<!-- tables: written by benchmarks/recipes/report.py -->", "<!-- end of tables -->"
MODES: tuple[Mode, ...] = ("sequential", "one-shot")
#: Points below DISIR that an image may be; the noise of these measurements.
_NEVER_LOSES = 0.5
#: Drawn in every plot of curves, beside the best ones.
_ALWAYS = ("disir", "paper", "authors-plugin", "default")
_BEST = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Print, and write if asked to."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER")
    made.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER")
    made.add_argument("--write", action="store_true", help="into docs/recipes.md, with plots")
    given = made.parse_args(arguments)
    try:
        found = measured(given.results)
        if given.write and not draw(found, given.docs / "recipes"):
            print("matplotlib is not installed, so plots are as they were", file=sys.stderr)
        text = page(found, given.docs)
        if given.write:
            write(text, given.docs / "recipes.md")
    except DiscaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0


def measured(folder: Path) -> dict[tuple[str, Mode], Results]:
    """What there is, by regime and mode.

    Raises
    ------
    DataError
        If there is nothing.
    """
    found = {}
    for regime in REGIMES:
        for mode in MODES:
            path = folder / f"{regime}-{mode}.json"
            if path.exists() and (results := Results.load(path)).records:
                # A recipe that was measured again stays where it was in the tables.
                order = list(results.recipes)
                results.records.sort(key=lambda record: order.index(record.recipe))
                found[regime, mode] = results
    if not found:
        raise DataError(f"{folder} holds no figures; run benchmarks/recipes/study.py first")
    return found


def page(found: dict[tuple[str, Mode], Results], docs: Path) -> str:
    """Everything that is measured, as Markdown."""
    blocks = []
    for regime in REGIMES:
        here = [(mode, found[regime, mode]) for mode in MODES if (regime, mode) in found]
        if here:
            blocks.append(f"### {REGIMES[regime].title}")
        for mode, results in here:
            images = len({r.image for r in results.records})
            blocks.append(
                f"{mode.capitalize()} clicks; {images} images; network {results.network}; "
                f"{results.settings}; {'; '.join(sorted(set(results.measured.values())))}."
            )
            blocks.append(table(results.records, mode))
            plot = Path("recipes") / f"{regime}-{mode}.svg"
            if (docs / plot).exists():
                blocks.append(f"![{REGIMES[regime].title}, {mode} clicks]({plot.as_posix()})")
    return "\n\n".join(blocks)


def table(records: Sequence[Record], mode: Mode) -> str:
    """One line per recipe, in points and percent; means over images with their standard errors."""
    one_by_one = mode == "sequential"
    steps = (1, 3, 5, 10) if one_by_one else (10,)
    header = [
        "recipe",
        "images",
        "before",
        *(f"gain after {k}" for k in steps),
        "DISIR's there",
        "to DISIR",
        "worst to DISIR",
        f"below DISIR − {_NEVER_LOSES}",
        *(["same clicks", "worst, same clicks", "clicks to DISIR's 10"] if one_by_one else []),
        "flips, %",
        "kept, %",
        "s",
    ]
    base = {r.image: r for r in records if r.recipe == "disir"}
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    for recipe in dict.fromkeys(r.recipe for r in records):
        own = [r for r in records if r.recipe == recipe]
        against = against_disir(own, base)
        paired = gains([base[r.image] for r in own if r.image in base], steps[-1])
        shown = recipe != "disir" and len(against) > 0
        cells = [
            f"`{recipe}`",
            str(len(own)),
            f"{100 * np.mean([r.before for r in own]):.1f}",
            *(_mean(gains(own, k), error=k == steps[-1]) for k in steps),
            _mean(paired, error=False) if shown else "",
            _mean(against) if shown else "",
            f"{against.min():+.1f}" if shown else "",
            str(int((against < -_NEVER_LOSES).sum())) if shown else "",
        ]
        if one_by_one:
            same = np.array([100 * r.over_disir for r in own if r.disir])
            cells += [_mean(same), f"{same.min():+.1f}" if len(same) else ""]
            needed = [clicks_to_target([r], base[r.image].after) for r in own if r.image in base]
            cells.append(f"{np.mean(needed):.1f}" if needed else "")
        cells += [
            _percent((r.collateral for r in own), digits=1),
            _percent(r.kept_clicks for r in own),
            f"{np.mean([r.seconds for r in own if r.seconds is not None]):.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def gains(records: Iterable[Record], clicks: int) -> np.ndarray:
    """Points over the initial map after some clicks, where that was measured."""
    found = [(r.miou[clicks], r.before) for r in records if clicks < len(r.miou)]
    return np.array([100 * (after - before) for after, before in found if after is not None])


def against_disir(
    records: Iterable[Record], base: dict[str, Record], clicks: int = -1
) -> np.ndarray:
    """Points over DISIR with as many clicks (all), image by image."""
    return np.array(
        [100 * (r.miou[clicks] - base[r.image].miou[clicks]) for r in records if r.image in base]
    )


def _mean(values: np.ndarray, *, error: bool = True) -> str:
    if not len(values):
        return ""
    text = f"{values.mean():+.1f}"
    return f"{text} ± {standard_error(values):.1f}" if error and len(values) > 1 else text


def _percent(values: Iterable[float | None], *, digits: int = 0) -> str:
    numbers = [v for v in values if v is not None]
    return f"{100 * np.mean(numbers):.{digits}f}" if numbers else ""


def write(text: str, path: Path) -> None:
    """Put the tables between their marks.

    Raises
    ------
    DataError
        If the page is not there or lacks the marks.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise DataError(f"{path} has no lines {BEGIN!r} and {END!r} for the tables")
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def draw(found: dict[tuple[str, Mode], Results], folder: Path) -> bool:
    """Draw a plot for everything that is measured; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "napari-disca", "svg.fonttype": "none"})
    folder.mkdir(parents=True, exist_ok=True)
    for (regime, mode), results in found.items():
        figure = (_curves if mode == "sequential" else _bars)(results.records)
        figure.axes[0].set_title(f"{REGIMES[regime].title}, {mode} clicks", fontsize=10, loc="left")
        figure.savefig(folder / f"{regime}-{mode}.svg", metadata={"Date": None})
    return True


def _curves(records: Sequence[Record]) -> Any:
    """Mean gain over the number of clicks, and that over DISIR on the same images.

    Standard errors are bands. Recipes measured on fewer images than others are in the second plot
    only: gains on other images cannot be compared.
    """
    from matplotlib.figure import Figure

    clicks = range(max(len(r.miou) for r in records))
    by_recipe = {
        name: [r for r in records if r.recipe == name]
        for name in dict.fromkeys(r.recipe for r in records)
    }
    others = [name for name in by_recipe if name not in _ALWAYS]
    others.sort(key=lambda name: -float(gains(by_recipe[name], clicks[-1]).mean()))
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    base = {r.image: r for r in records if r.recipe == "disir"}
    most = max(map(len, by_recipe.values()))
    for number, name in enumerate([n for n in _ALWAYS if n in by_recipe] + others[:_BEST]):
        own = by_recipe[name]
        color = "black" if name == "disir" else f"C{number - 1}"
        if len(own) == most:
            _band(left, [gains(own, k) for k in clicks], color, name)
        if name != "disir" and base:
            paired = [against_disir(own, base, k) for k in clicks]
            images = f"{len(paired[0])} image" + "s" * (len(paired[0]) != 1)
            _band(right, paired, color, f"{name}, {images}")
    left.set(ylabel=f"mean IoU over the initial map, points ({most} images)")
    right.set(ylabel="mean IoU over DISIR on the same images, points")
    for axes in (left, right):
        axes.set(xlabel="clicks", xlim=(0, clicks[-1]))
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _band(axes: Any, curves: Sequence[np.ndarray], color: str, label: str) -> None:
    mean = np.array([values.mean() for values in curves])
    error = np.nan_to_num([standard_error(values) for values in curves])
    axes.plot(range(len(curves)), mean, marker=".", label=label, color=color)
    axes.fill_between(range(len(curves)), mean - error, mean + error, color=color, alpha=0.12, lw=0)


def _bars(records: Sequence[Record]) -> Any:
    """Mean difference to DISIR with its standard error, and every image as a dot."""
    from matplotlib.figure import Figure

    base = {r.image: r for r in records if r.recipe == "disir"}
    names = [n for n in dict.fromkeys(r.recipe for r in records) if n != "disir"]
    figure = Figure(figsize=(7, 1.2 + 0.22 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        values = against_disir([r for r in records if r.recipe == name], base)
        if len(values):
            axes.barh(row, values.mean(), color="#4c78a8" if values.mean() >= 0 else "#d1495b")
            axes.plot(values, np.full(len(values), row), "k.", markersize=3, alpha=0.5)
            error = np.nan_to_num(standard_error(values))
            axes.errorbar(values.mean(), row, xerr=error, color="black", capsize=2, linewidth=1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linewidth=0.5)
    axes.set(xlabel="mean IoU over DISIR, points; a dot is an image")
    return figure


if __name__ == "__main__":
    sys.exit(main())
