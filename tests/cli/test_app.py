"""`predict`, `refine`, and what every command does with mistakes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from napari_disca.cli import main, predict
from napari_disca.core.events import finish
from napari_disca.exports import read_clicks, read_map_classes
from napari_disca.inference.reading import Reading
from napari_disca.networks import load_network
from napari_disca.raster import Scaling, open_raster
from napari_disca.recipes import recipe_named
from napari_disca.scenes import Scene, write_scene
from napari_disca.session.preferences import recall, remember
from napari_disca.session.session import Session

EXACT = ("--precision", "float32", "--device", "cpu")


def labels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def by_session(files, name: str, recipe=None, seed: int = 0) -> np.ndarray:
    """The map that the engine makes of the sample image."""
    from napari_disca.core.tiling import Window
    from napari_disca.networks.compute import Compute

    with open_raster(files.image) as raster:
        compute = Compute.choose("cpu", "float32")
        session = Session(raster, load_network(files.weights), compute=compute, seed=seed)
        if name != "initial":
            session.document.set_clicks(
                read_clicks(files.clicks, raster=raster, classes=session.document.classes)
            )
        if recipe is not None:
            finish(session.adapt(recipe), session.handle)
        finish(session.refresh((name,)), session.handle)
        return session.maps[name].read(Window.whole(raster.shape))


def test_predict_writes_the_initial_map_on_the_images_grid(run, files, tmp_path):
    output = tmp_path / "new folder" / "map.tif"
    result = run("predict", files.image, "-o", output, "--weights", files.weights, *EXACT)
    assert result.code == 0
    assert result.out == f"{output}\n"
    assert "north.tif: bands 1, 2, 3" in result.err
    with rasterio.open(output) as written, rasterio.open(files.image) as image:
        assert (written.shape, written.crs) == (image.shape, image.crs)
        assert written.transform == image.transform
        assert written.nodata == 255
    assert read_map_classes(output) == tuple(load_network(files.weights).card.classes)
    np.testing.assert_array_equal(labels_of(output), by_session(files, "initial"))


@pytest.mark.parametrize("folder", ["maps", "maps/"])
def test_predict_writes_several_maps_into_a_folder(run, files, tmp_path, folder):
    images = sorted(Path(files.images).glob("*.tif"))
    target = f"{tmp_path}/{folder}"
    result = run("predict", *images, "-o", target, "--weights", files.weights, *EXACT)
    assert result.code == 0
    expected = [tmp_path / "maps" / f"{image.stem}_labels.tif" for image in images]
    assert result.out.splitlines() == [str(path) for path in expected]
    assert all(path.is_file() for path in expected)


def test_a_slash_makes_a_folder_for_one_image_too(run, files, tmp_path):
    result = run("predict", files.image, "-o", f"{tmp_path}/maps/", "--weights", files.weights)
    assert result.code == 0
    assert (tmp_path / "maps" / "north_labels.tif").is_file()


def test_a_damaged_image_does_not_stop_the_others(run, files, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 no more")
    result = run(
        "predict", broken, files.image, "-o", tmp_path / "maps", "--weights", files.weights
    )
    assert result.code == 2
    assert result.out == f"{tmp_path / 'maps' / 'north_labels.tif'}\n"
    assert [line for line in result.error_lines if "broken.tif" in line]


def test_the_factor_is_remembered_until_it_is_set_back(run, files, tmp_path):
    command = ("predict", files.image, "-o", tmp_path / "m.tif", "--weights", files.weights)
    card = load_network(files.weights).card
    assert "read as it is" in run(*command).err
    assert "read at 0.5 x" in run(*command, "--factor", "0.5").err
    assert "read at 0.5 x" in run(*command).err
    with open_raster(files.image) as raster:
        assert recall(raster, card).factor == 0.5
    assert "read as it is" in run(*command, "--factor", "auto").err
    assert "read as it is" in run(*command).err


def test_what_was_chosen_in_the_window_is_mentioned(run, files, tmp_path):
    command = ("predict", files.image, "-o", tmp_path / "m.tif", "--weights", files.weights)
    card = load_network(files.weights).card
    with open_raster(files.image) as raster:
        remember(raster, card, Reading(scaling=Scaling("percentile")))
    said = run(*command).err
    assert "in the window --scaling percentile was chosen for it; the command line uses" in said
    assert "values / 255" in said
    assert "in the window" not in run(*command, "--scaling", "percentile").err


def test_the_bands_are_the_users(run, files, tmp_path):
    result = run(
        *("predict", files.image, "-o", tmp_path / "m.tif"),
        *("--weights", files.weights, "--bands", "3,2,1"),
    )
    assert result.code == 0
    assert "bands 3, 2, 1" in result.err


def test_refine_with_disir_corrects_without_learning(run, files, tmp_path):
    output = tmp_path / "map.tif"
    result = run(
        *("refine", files.image, "--clicks", files.clicks, "-o", output),
        *("--weights", files.weights, "--recipe", "disir", *EXACT),
    )
    assert (result.code, result.out) == (0, f"{output}\n")
    labels = labels_of(output)
    np.testing.assert_array_equal(labels, by_session(files, "disir"))
    assert (labels != by_session(files, "initial")).any()


def test_refine_adapts_with_the_fields_that_are_given(run, files, tmp_path):
    output = tmp_path / "map.tif"
    result = run(
        *("refine", files.image, "--clicks", files.clicks, "-o", output),
        *("--weights", files.weights, "--recipe", "paper", "--rate", "1e-3", "--passes", "2"),
        *("--crops", "around-clicks", "--crop-size", "64", "--seed", "5", *EXACT),
    )
    assert result.code == 0
    assert "of 2 clicks learned" in result.err
    recipe = recipe_named("paper", rate=1e-3, passes=2, crops="around clicks", crop_size=64)
    labels = labels_of(output)
    np.testing.assert_array_equal(labels, by_session(files, "disca", recipe, seed=5))
    assert (labels != by_session(files, "disir")).any()


def test_refine_without_clicks_says_so(run, files, tmp_path):
    empty = tmp_path / "none.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    output = tmp_path / "map.tif"
    result = run(
        *("refine", files.image, "--clicks", empty, "-o", output, "--weights", files.weights),
        *EXACT,
    )
    assert result.code == 0
    assert "none.geojson has no clicks" in result.err
    np.testing.assert_array_equal(labels_of(output), by_session(files, "initial"))


# -------------------------------------------------------------------- the user's mistakes


def clicks_file(path: Path, x: float = 0.0, y: float = 0.0, label: int = 0) -> Path:
    point = {
        "type": "Feature",
        "properties": {"class_id": label},
        "geometry": {"type": "Point", "coordinates": [x, y]},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": None, "features": [point]}))
    return path


@pytest.fixture
def mistakes(tmp_path, files):
    """Files that are wrong, by the name that the tests below give them."""
    (tmp_path / "text.tif").write_text("not a TIFF")
    (tmp_path / "text.safetensors").write_text("not a network")
    (tmp_path / "old.pt").write_bytes(b"\x80\x04.")
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "text.geojson").write_text("not JSON")
    clicks_file(tmp_path / "outside.geojson")
    with rasterio.open(files.image) as image:
        x, y = image.xy(1, 1)
    clicks_file(tmp_path / "class9.geojson", x, y, 9)
    (tmp_path / "other").mkdir()
    shutil.copy(files.image, tmp_path / "other" / "north.tif")
    shutil.copy(files.image, tmp_path / "image.tif")
    (tmp_path / "a folder.tif").mkdir()
    return tmp_path


PREDICT = {
    "a missing image": ("{t}/none.tif -o {t}/o.tif", "no file"),
    "no image": ("{t}/text.tif -o {t}/o.tif", "text.tif"),
    "an address": ("https://example.org/i.tif -o {t}/o.tif", "example.org"),
    "an unknown network": ("{i} -o {t}/o.tif --weights nope", "bundled"),
    "no network": ("{i} -o {t}/o.tif --weights {t}/text.safetensors", "text.safetensors"),
    "a pickle": ("{i} -o {t}/o.tif --weights {t}/old.pt", "pickle"),
    "the input": ("{t}/image.tif -o {t}/image.tif", "is the image itself"),
    "the input, otherwise": ("{t}/image.tif -o {t}/other/../image.tif", "is the image itself"),
    "a file as a folder": ("{i} -o {t}/file/o.tif", "cannot write"),
    "no suffix": ("{i} -o {t}/map", ".tif"),
    "another format": ("{i} -o {t}/map.png", ".tif"),
    "a file for two": ("{i} {t}/image.tif -o {t}/o.tif", "give a folder"),
    "one name for two": ("{i} {t}/other/north.tif -o {t}/maps", "same name"),
    "a band too many": ("{i} -o {t}/o.tif --bands 1,2,7", "bands"),
    "two bands": ("{i} -o {t}/o.tif --bands 1,2", "bands"),
    "no bands": ("{i} -o {t}/o.tif --bands red", "1,2,3"),
    "no factor": ("{i} -o {t}/o.tif --factor much", "--factor"),
    "factor 0": ("{i} -o {t}/o.tif --factor 0", "factor"),
    "factor nan": ("{i} -o {t}/o.tif --factor nan", "factor"),
    "no threads": ("{i} -o {t}/o.tif --threads 0", "--threads"),
    "threads that no machine has": ("{i} -o {t}/o.tif --threads 100000", "from 1 to 1024"),
    "no workers": ("{i} -o {t}/o.tif --workers 0", "--workers"),
    "no device": ("{i} -o {t}/o.tif --device tpu", "--device"),
    "half on a CPU": ("{i} -o {t}/o.tif --device cpu --precision float16", "float16"),
    "no output": ("{i}", "--output"),
    "an abbreviation": ("{i} --outp {t}/o.tif", "--output"),
}
REFINE = {
    "missing clicks": ("--clicks {t}/none.geojson", "none.geojson"),
    "no JSON": ("--clicks {t}/text.geojson", "JSON"),
    "no seed": ("--clicks {c} --seed -1", "'--seed': '-1'"),
    "a huge seed": (f"--clicks {{c}} --seed {2**70}", "2^63"),
    "clicks outside": ("--clicks {t}/outside.geojson", "outside the image"),
    "an unknown class": ("--clicks {t}/class9.geojson", "class"),
    "an unknown recipe": ("--clicks {c} --recipe magic", "authors-plugin"),
    "a field of others": ("--clicks {c} --recipe disir --rate 1e-4", "--rate"),
    "an unknown field": ("--clicks {c} --momentum 0.9", "--momentum"),
    "no number": ("--clicks {c} --rate fast", "--rate"),
    "no whole number": ("--clicks {c} --passes 2.5", "--passes"),
    "too many passes": ("--clicks {c} --passes 100000", "--passes"),
    "a rate of nothing": ("--clicks {c} --rate nan", "--rate"),
    "an unknown choice": ("--clicks {c} --parameters some", "batchnorm"),
}


@pytest.mark.parametrize("name", PREDICT)
def test_a_mistake_is_one_line_and_2_predict(run, files, mistakes, name):
    check_mistake(run, files, mistakes, "predict", *PREDICT[name])


@pytest.mark.parametrize("name", REFINE)
def test_a_mistake_is_one_line_and_2_refine(run, files, mistakes, name):
    given, word = REFINE[name]
    check_mistake(run, files, mistakes, "refine", "{i} -o {t}/o.tif " + given, word)


def check_mistake(run, files, folder, command: str, given: str, word: str) -> None:
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    names = {"t": folder, "i": files.image, "c": files.clicks, "w": files.weights}
    arguments = [part.format(**names) for part in given.split(" ")]
    if "--weights" not in arguments:
        arguments += ["--weights", files.weights]
    result = run(command, *arguments)
    assert result.code == 2
    assert result.out == ""
    assert len(result.error_lines) == 1, result.err
    assert result.err.startswith("napari-disca: ")
    assert word in result.err
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


@pytest.mark.parametrize("arguments", [(), ("corect",), ("--weights", "x"), ("predict",)])
def test_a_wrong_command_is_one_line_and_2(run, arguments):
    result = run(*arguments)
    assert result.code == 2
    assert len(result.error_lines) == 1
    assert "--help" in result.err


def test_a_damaged_file_is_told_in_one_line(run, files, tmp_path, shared):
    damaged = shared / "geotiff" / "rasterio" / "corrupt.tif"
    output = tmp_path / "o.tif"
    result = run("predict", damaged, "-o", output, "--weights", files.weights)
    assert result.code == 2
    assert len(result.error_lines) == 1
    assert "corrupt.tif is damaged" in result.err
    assert not output.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there(run, files, tmp_path):
    result = run(
        *("predict", files.image, "-o", tmp_path / "o.tif"),
        *("--weights", files.weights, "--device", "cuda"),
    )
    assert result.code == 2
    assert "there is no cuda device" in result.err


def test_a_map_is_not_written_over_another_image_of_the_same_call(run, files, tmp_path):
    first, second = tmp_path / "a.tif", tmp_path / "a_labels.tif"
    shutil.copy(files.image, first)
    shutil.copy(files.image, second)
    before = second.read_bytes()
    result = run("predict", first, second, "-o", tmp_path, "--weights", files.weights)
    assert result.code == 2
    assert "a_labels.tif is the image itself" in result.err
    assert second.read_bytes() == before


def test_a_map_is_not_written_over_a_part_of_a_mosaic(run, files, tmp_path):
    part, mosaic = tmp_path / "part.tif", tmp_path / "mosaic.vrt"
    shutil.copy(files.image, part)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{b}"><SimpleSource><SourceFilename '
        f'relativeToVRT="1">part.tif</SourceFilename><SourceBand>{b}</SourceBand></SimpleSource>'
        "</VRTRasterBand>"
        for b in (1, 2, 3)
    )
    mosaic.write_text(f'<VRTDataset rasterXSize="200" rasterYSize="150">{bands}</VRTDataset>')
    before = part.read_bytes()
    result = run("predict", mosaic, "-o", part, "--weights", files.weights)
    assert result.code == 2
    assert "part.tif is a part of mosaic.vrt" in result.err
    assert part.read_bytes() == before
    assert run("predict", mosaic, "-o", tmp_path / "m.tif", "--weights", files.weights).code == 0


def test_a_bug_keeps_its_traceback(run, files, tmp_path, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(predict, "save_stream", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["predict", files.image, "-o", str(tmp_path / "o.tif"), "--weights", files.weights])


def test_a_full_memory_is_no_bug(run, files, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(predict, "save_stream", full)
    result = run("predict", files.image, "-o", tmp_path / "o.tif", "--weights", files.weights)
    assert result.code == 2
    assert "memory is full" in result.err


def test_an_interrupt_is_130_and_leaves_nothing(run, files, tmp_path, monkeypatch):
    from napari_disca.exports import geotiff

    output = tmp_path / "maps" / "o.tif"
    seen = []

    def interrupted(*arguments: object) -> object:
        # Ctrl+C while the file is being written.
        seen.extend(output.parent.glob(".*part*"))
        raise KeyboardInterrupt

    monkeypatch.setattr(geotiff, "_check_complete", interrupted)
    result = run("predict", files.image, "-o", output, "--weights", files.weights)
    assert result.code == 130
    assert result.error_lines[-1] == "napari-disca: interrupted"
    assert seen, "nothing had been written yet"
    assert list(output.parent.iterdir()) == []


# -------------------------------------------------------------------- windows


def test_the_window_gets_images_and_network(run, files, monkeypatch):
    from napari_disca.gui.plugin import app

    opened = []
    monkeypatch.setattr("napari_disca.cli.window.has_screen", lambda: True)
    monkeypatch.setattr(app, "open_window", lambda images, **rest: opened.append((images, rest)))
    options = {"weights": None, "allow_torchscript": False}
    for command in (["demo"], ["open", files.image, "--weights", files.weights]):
        result = run(*command)
        assert result.code == 0, result.err
    assert opened == [
        ((), {**options, "demo": True}),
        ((Path(files.image),), {**options, "demo": False, "weights": files.weights}),
    ]


@pytest.mark.usefixtures("no_screen")
def test_without_a_screen_a_window_is_refused_in_one_line(run, files):
    for arguments in (["demo"], ["open", files.image]):
        result = run(*arguments)
        assert (result.code, result.out) == (2, "")
        assert len(result.error_lines) == 1
        assert "no screen" in result.err


def test_open_refuses_what_is_not_there(run, tmp_path):
    result = run("open", tmp_path / "none.tif")
    assert result.code == 2
    assert "none.tif does not exist" in result.err


# -------------------------------------------------------------------- processes of their own


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_without_napari_a_window_is_refused_in_one_line():
    # In a process of its own: modules imported without napari must not stay for other tests.
    script = (
        "import sys; sys.modules.update({'napari': None, 'napari.layers': None})\n"
        "from napari_disca.cli import main; sys.exit(main(['demo']))"
    )
    result = process("-c", script, QT_QPA_PLATFORM="offscreen")
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert 'pip install "napari-disca[all]"' in result.stderr


def test_help_needs_neither_torch_nor_qt():
    script = (
        "import sys; from napari_disca.cli import main; main(['--help']); main(['predict', '-h']);"
        "print(*sorted({'torch', 'rasterio', 'numpy', 'napari', 'qtpy'} & set(sys.modules)))"
    )
    result = process("-c", script)
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == ""
    for command in ("demo", "open", "predict", "refine", "evaluate", "train", "info"):
        assert f"\n  {command} " in result.stdout


def test_the_module_runs_as_a_program(files, tmp_path):
    result = process("-m", "napari_disca", "--version")
    assert result.returncode == 0
    assert result.stdout.startswith("napari-disca ")
    result = process("-m", "napari_disca", "predict", files.image, "-o", files.image)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_the_cores_are_kept_free_before_torch_comes():
    # OpenMP looks at the variable once, when torch loads it.
    script = (
        "import os, sys; os.environ.pop('OMP_WAIT_POLICY', None)\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch': print(os.environ.get('OMP_WAIT_POLICY')); sys.exit()\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from napari_disca.cli import main; main(['refine', '--help'])\n"
    )
    assert process("-c", script).stdout == "PASSIVE\n"


def test_predict_says_which_network_it_took(run, tmp_path):
    image = tmp_path / "drone.tif"
    finish(write_scene(Scene((64, 64), seed=1, ground_resolution=0.13), image))
    result = run("predict", image, "-o", tmp_path / "map.tif")
    assert result.code == 0
    assert (
        "network buildings, because --weights was not given: buildings is for 0.15 m" in result.err
    )
    assert labels_of(tmp_path / "map.tif").max() < 2


def test_refine_says_where_another_network_fits_better(run, tmp_path):
    image, clicks = tmp_path / "drone.tif", tmp_path / "clicks.csv"
    finish(write_scene(Scene((64, 64), seed=1, ground_resolution=0.13), image))
    clicks.write_text("row,col,class\n5,5,building\n")
    result = run(
        *("refine", image, "--clicks", clicks, "--recipe", "disir", "-o", tmp_path / "map.tif")
    )
    assert "landcover-5 is used; buildings is for 0.15 m" in result.err
