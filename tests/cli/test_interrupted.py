"""Ctrl+C: one line, exit code 130, and no half-written file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial

import pytest
import rasterio

from napari_disca.raster import quiet_opening

COMMANDS = {
    "predict": "predict {t}/big.tif -o {o}/m.tif --weights {w}",
    "refine": "refine {i} --clicks {c} -o {o}/m.tif --weights {w} --recipe paper --passes 1000",
    "refine in a session": "refine {i} --clicks {c} -o {o}/m.tif --weights {w} --recipe paper "
    "--passes 1000 --journal {t}/new.jsonl",
    "replay": "replay {t}/j.jsonl {i} -o {o}/m.tif --learn-again",
}


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "big.tif"
    side, tiled = 20_000, {"tiled": True, "sparse_ok": True}  # nothing is written but the header
    with (
        quiet_opening(),
        rasterio.open(
            path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8", **tiled
        ),
    ):
        pass
    return path


@pytest.mark.skipif(os.name == "nt", reason="Ctrl+C cannot be sent to one process there")
@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupted_command_leaves_nothing_behind(run, files, large, tmp_path, name):
    outputs = tmp_path / "out"
    outputs.mkdir()
    (tmp_path / "big.tif").symlink_to(large)
    if name == "replay":
        made = run(
            *("refine", files.image, "--clicks", files.clicks, "-o", tmp_path / "m.tif"),
            *("--weights", files.weights, "--recipe", "paper", "--passes", "1"),
            *("--journal", tmp_path / "j.jsonl"),
        )
        assert made.code == 0, made.err
        text = (tmp_path / "j.jsonl").read_text()
        (tmp_path / "j.jsonl").write_text(text.replace('"passes":1,', '"passes":1000,'))
    command = COMMANDS[name].format(
        t=tmp_path, o=outputs, i=files.image, c=files.clicks, w=files.weights
    )
    with subprocess.Popen(
        [sys.executable, "-m", "napari_disca", *command.split()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background has it ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while ".tif: " not in (line := process.stderr.readline()):  # how the image is read
            assert line, process.wait()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == ["napari-disca: interrupted"]
    assert not list(outputs.iterdir())
    assert not list(tmp_path.glob(".*"))
