"""The study's commands, from a folder of images to the page."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import regimes
import report
import study
import tifffile
from results import Results

from builders import make_network
from napari_disca.core.errors import DataError
from napari_disca.evaluation import Record
from napari_disca.networks import save_network
from napari_disca.scenes import Scene


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two small images of a regime, and a network of its own."""
    rng = np.random.default_rng(0)
    for name in ("a", "b", "left-out"):
        for folder, pixels in (
            ("images", Scene((64, 64), seed=len(name), ground_resolution=1.0).image()),
            ("masks", np.kron(rng.integers(0, 3, (4, 4)), np.ones((16, 16))).astype(np.uint8)),
        ):
            path = tmp_path / "data" / "small" / folder / f"{name}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, pixels)
    network = save_network(make_network(), tmp_path / "network.safetensors")
    small = regimes.Regime("Small", str(network), "small", ("a", "b"), images=2, crop=64)
    monkeypatch.setitem(regimes.REGIMES, "small", small)
    monkeypatch.setattr(study, "machine", lambda *, load: f"a machine, {load=}")
    return tmp_path / "data"


def run(data, *more):
    path = data.parent / "results" / "small-one-shot.json"
    flags = ["small", "--data", data, "--json", path, "--device", "cpu", *more]
    return path, study.main([str(flag) for flag in flags])


def test_measures_what_is_missing_and_nothing_twice(data, capsys, monkeypatch):
    path, code = run(data, "--images", 1, "--recipes", "disir,recalibrated")
    assert code == 0
    assert len(Results.load(path).records) == 2
    capsys.readouterr()
    assert run(data, "--recipes", "disir,recalibrated")[1] == 0
    results = Results.load(path)
    assert len(results.records) == len(results.finished) == 4
    assert capsys.readouterr().out.count(" recalibrated: ") == 1
    assert "placed" not in json.loads(path.read_text())["records"][0]
    # Another recipe under this name: its figures are measured again.
    other = replace(study.CANDIDATES["recalibrated"], shares=(0.2,))
    monkeypatch.setitem(study.CANDIDATES, "recalibrated", other)
    capsys.readouterr()
    assert run(data, "--recipes", "disir,recalibrated")[1] == 0
    assert capsys.readouterr().out.count(" recalibrated: ") == 2
    assert run(data, "--recipes", "disir", "--again", "disir")[1] == 0
    assert capsys.readouterr().out.count(" disir: ") == 2


def test_the_page_says_where_and_when_each_recipe_was_measured(data, monkeypatch, capsys):
    path, _ = run(data, "--images", 1, "--recipes", "disir,recalibrated")
    monkeypatch.setattr(study, "machine", lambda *, load: "another machine")
    run(data, "--images", 1, "--recipes", "disir,recalibrated", "--again", "disir")
    machines = {"disir": "another machine", "recalibrated": "a machine, load=False"}
    assert Results.load(path).measured == machines
    assert report.main(["--results", str(path.parent)]) == 0
    assert "a machine, load=False; another machine.\n" in capsys.readouterr().out


def test_what_is_missing_is_one_line(data, capsys):
    for flags, said in (
        (("--data", data / "nowhere"), "give the folder that holds it with --data"),
        (("--recipes", "nonsense"), "there is no recipe 'nonsense'"),
    ):
        assert run(data, *flags)[1] == 1
        assert said in capsys.readouterr().err
    assert study.main(["buildings-to-banepa", "--data", str(data)]) == 1
    assert "error: " in capsys.readouterr().err


def test_figures_of_another_network_are_not_added_to(data, capsys):
    path, _ = run(data, "--images", 1, "--recipes", "disir")
    before = path.read_text()
    other = save_network(make_network(seed=1), data.parent / "other.safetensors")
    assert run(data, "--recipes", "disir", "--network", other)[1] == 1
    assert "was measured with" in capsys.readouterr().err
    assert path.read_text() == before


def record(recipe, image, *miou, mode="sequential", **changes):
    fields = {"collateral_inside": None, "collateral_outside": None, "kept_clicks": 1.0}
    fields |= {"clicks": 10, "iou_per_class": {}, "collateral": 0.02, "seconds": 1.0} | changes
    return Record(image, recipe, mode, miou=tuple(miou), **fields)


def test_the_table_says_what_was_measured():
    rising = [0.5, *np.linspace(0.52, 0.7, 10).tolist()]
    fast = [0.5, *[0.75] * 10]
    records = [
        record("disir", "a", *rising),
        record("disir", "b", *rising),
        record("fast", "a", *fast, disir=(0.5, *[0.74] * 10)),
        record("fast", "b", 0.5, *[0.6] * 10, kept_clicks=None, disir=(0.5, *[0.61] * 10)),
    ]
    lines = report.table(records, "sequential").splitlines()
    disir, quick = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:])
    assert disir == [
        "`disir`", "2", "50.0", "+2.0", "+6.0", "+10.0", "+20.0 ± 0.0",
        "", "", "", "", "", "", "10.0", "2.0", "100", "1.0",
    ]  # fmt: skip
    assert quick == [
        "`fast`", "2", "50.0", "+17.5", "+17.5", "+17.5", "+17.5 ± 7.5",
        "+20.0", "-2.5 ± 7.5", "-10.0", "1", "+0.0 ± 1.0", "-1.0", "6.0", "2.0", "100", "1.0",
    ]  # fmt: skip
    one_shot = [record("disir", "a", 0.5, *[None] * 9, 0.7, mode="one-shot")]
    assert "+20.0 |" in report.table(one_shot, "one-shot")


def page_of(folder):
    path = folder / "recipes.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\n## After\n")
    return path


def test_the_page_gets_its_tables_and_keeps_the_rest(data, tmp_path, monkeypatch):
    run(data, "--recipes", "disir,ridge-head")
    path, refused = run(data, "--mode", "sequential", "--recipes", "disir,ridge-head")
    assert refused
    assert len(Results.load(path).records) == 4, "the file is of the other mode"
    path = page_of(tmp_path / "docs")
    flags = ["--results", str(data.parent / "results"), "--docs", str(tmp_path / "docs")]
    assert report.main([*flags, "--write"]) == 0
    text = path.read_text()
    assert text.startswith("# Title\n")
    assert text.endswith("## After\n")
    assert "old" not in text
    assert "`ridge-head`" in text
    once = path.read_text()
    assert report.main([*flags, "--write"]) == 0
    assert path.read_text() == once


def test_plots_of_both_modes(tmp_path):
    pytest.importorskip("matplotlib", reason="plots need the extra 'study'")
    rising = [0.5, *np.linspace(0.52, 0.7, 10).tolist()]
    found = {}
    for mode in report.MODES:
        miou = rising if mode == "sequential" else [0.5, *[None] * 9, 0.7]
        records = [
            record(recipe, image, *miou, mode=mode)
            for recipe in ("disir", "bn")
            for image in ("a", "b")
        ]
        found["in-domain", mode] = Results(tmp_path / "x.json", "n", "s", records=records)
    assert report.draw(found, tmp_path)
    for mode in report.MODES:
        drawn = (tmp_path / f"in-domain-{mode}.svg").read_bytes()
        assert b"in-domain" in drawn or b"In-domain" in drawn
        report.draw(found, tmp_path)
        assert (tmp_path / f"in-domain-{mode}.svg").read_bytes() == drawn


def test_without_matplotlib_there_are_tables_only(data, tmp_path, monkeypatch, capsys):
    run(data, "--images", 1, "--recipes", "disir")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    path = page_of(tmp_path / "docs")
    flags = ["--results", str(data.parent / "results"), "--docs", str(tmp_path / "docs")]
    assert report.main([*flags, "--write"]) == 0
    assert "matplotlib is not installed" in capsys.readouterr().err
    assert "`disir`" in path.read_text()


def test_nothing_to_report_is_one_line(tmp_path, capsys):
    assert report.main(["--results", str(tmp_path)]) == 1
    assert "run benchmarks/recipes/study.py first" in capsys.readouterr().err
    path = tmp_path / "odd.json"
    path.write_text('{"records": [{}]}')
    with pytest.raises(DataError, match="holds no figures"):
        Results.load(path)


def test_regimes_find_their_real_images(shared):
    for name, regime in regimes.REGIMES.items():
        assert regime.pairs(shared), name
    assert not {p.name for p in regimes.REGIMES["in-domain"].pairs(shared)} & {
        p.name for p in regimes.REGIMES["unseen-areas"].pairs(shared)
    }
