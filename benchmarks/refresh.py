"""Redoing a whole map: ours, a plain loop as the authors' plugin has it, and the bare network.

    python benchmarks/refresh.py [--side 6000]

The plain loop is what Lenczner et al.'s plugin does: float32, contiguous, one tile of 512 pixels
that overlap by 128 at a time, logits added up in float64 for the whole image, then their mean
and its argmax. It runs in a process of its own with PyTorch's own thread settings. Ours is
`Session.refine` after an adaptation: reading, network, labels, three levels painted, the labels
before kept for an undo. The bare network runs on as many tiles of zeros. The three work in turns,
a slice at a time, so that their ratios hold on a noisy machine.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if "--plain" not in sys.argv:
    from napari_disca.core.threads import limit_spinning

    limit_spinning()

import numpy as np
import torch
from common import bare_network, folder_of, image, machine, mark_as_drawn, parser
from numpy.typing import NDArray

from napari_disca.core.events import Patch
from napari_disca.core.tiling import Tiling, Window
from napari_disca.networks import Network, load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import recipe_named
from napari_disca.session.session import Session
from napari_disca.session.steps.step_values import AdaptationRun

#: How many slices the work is cut into.
_SLICES = 12


def plain(path: Path, name: str) -> Iterator[None]:
    """The plain loop, a tile a step; the last step is the map."""
    network = load_network(name).eval()
    raster = open_raster(path)
    height, width = raster.shape
    whole = torch.from_numpy(raster.read(Window.whole(raster.shape)).astype(np.float32)) / 255
    classes = len(network.card.classes)
    guidance = torch.zeros(classes, height, width)
    summed = torch.zeros(classes, height, width, dtype=torch.float64)
    times = torch.zeros(height, width, dtype=torch.float64)
    with torch.no_grad():
        for tile in Tiling(raster.shape):
            rows, cols = tile.read.slices
            logits = network(whole[None, :, rows, cols], guidance[None, :, rows, cols])
            summed[:, rows, cols] += logits[0].double()
            times[rows, cols] += 1
            yield
        labels = (summed / times).argmax(dim=0).to(torch.uint8)
    assert labels.shape == raster.shape
    yield


def be_plain(path: Path, name: str) -> None:
    """Take steps as told on standard input; tell the seconds."""
    loop = plain(path, name)
    total = len(Tiling(open_raster(path).shape)) + 1
    next(loop)  # reads the image and warms up; not counted
    print(total - 1, flush=True)
    for line in sys.stdin:
        began = now()
        for _ in range(int(line)):
            next(loop)
        print(*(now() - began), flush=True)


class PlainProcess:
    """The plain loop in a process of its own."""

    def __init__(self, path: Path, name: str) -> None:
        command = [sys.executable, __file__, "--plain", str(path), name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.steps = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def step(self, count: int) -> NDArray[np.float64]:
        """Take some steps; the seconds they took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return np.array(self._line().split(), dtype=float)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def now() -> NDArray[np.float64]:
    """Time of the clock, and of all cores for this process; the latter knows no other programs."""
    return np.array([time.perf_counter(), time.process_time()])


def bare(session: Session, network: Network, tiles: int) -> NDArray[np.float64]:
    """Seconds of the network alone on some tiles without clicks."""
    batch, device = session.compute.batch, session.compute.device
    height, width = session.tiling.read_shape
    keep = Window(64, 64, height - 128, width - 128)
    pixels = torch.zeros(batch, 3, height, width, device=device)
    pixels = pixels.to(memory_format=torch.channels_last)
    began = now()
    with torch.inference_mode(), session.compute.autocast():
        for _ in range(-(-tiles // batch)):
            logits = network.decode_window(network.features(pixels, None, keep), keep)
            logits[0, 0, 0, 0].item()
    return now() - began


def main() -> int:
    """Print seconds and ratios."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--side", type=int, default=6000)
    arguments = flags.parse_args()
    with folder_of(arguments) as folder:
        path = image(folder, arguments.side)
        session = Session(open_raster(path), load_network(arguments.network))
        mark_as_drawn(session)
        session.document.click(arguments.side // 2, arguments.side // 2, 0)
        network = bare_network(session)
        print(machine(session))
        loop = PlainProcess(path, arguments.network)
        tiles = len(session.tiling)
        ours, alone, theirs = np.zeros((3, 2))
        job = session.adapt(recipe_named("held-out", adopt="full", passes=1), ("disca",))
        for event in job:  # learning is not part of it
            session.handle(event)
            if isinstance(event, AdaptationRun):
                break
        bare(session, network, 2)
        done = steps = 0
        for turn in range(1, _SLICES + 1):
            wanted = tiles * turn // _SLICES
            began, before = now(), done
            while done < wanted:
                event = next(job)
                session.handle(event)
                done += isinstance(event, Patch)
            if turn == _SLICES:
                for event in job:
                    session.handle(event)
            ours += now() - began
            alone += bare(session, network, done - before)
            step = loop.steps * turn // _SLICES
            theirs += loop.step(step - steps)
            steps = step
            print(f"  {turn} of {_SLICES}: {ours[0]:.0f} s, {alone[0]:.0f} s, {theirs[0]:.0f} s")
        loop.close()
        assert session.map_state.up_to_date("disca") == 1.0
        session.raster.close()
    for i, clock in enumerate(("seconds", "seconds of processor time")):
        print(
            f"{arguments.side}², {clock}: ours {ours[i]:.1f} for {tiles} tiles; plain loop "
            f"{theirs[i]:.1f} for {loop.steps} tiles, {theirs[i] / ours[i]:.2f} times as long; "
            f"ours {ours[i] / alone[i]:.2f} of the bare network"
        )
    return 0


if __name__ == "__main__":
    if "--plain" in sys.argv:
        be_plain(Path(sys.argv[2]), sys.argv[3])
        sys.exit(0)
    sys.exit(main())
