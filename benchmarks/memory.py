"""How much memory a correction takes, and how that grows with the image.

    python benchmarks/memory.py [--sides 5000 20000]

For each side a process of its own predicts the whole map, makes ten clicks and answers each,
adapts, and redoes the whole map. Reported is the peak of its resident memory, as the kernel keeps
it: with the pages of the maps' files that are mapped at the time; and the peak of what is not
backed by a file. Nothing is left out, so 20 000 x 20 000 pixels take a while on a CPU.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

from common import folder_of, image, machine, parser


def status(field: str) -> float:
    """A field of this process's status, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def work(path: Path, name: str, passes: int | None) -> None:
    """Correct an image and print what it took."""
    import numpy as np

    from napari_disca.core.events import finish
    from napari_disca.networks import load_network
    from napari_disca.raster import open_raster
    from napari_disca.recipes import recipe_named
    from napari_disca.session.session import Session

    anonymous = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal anonymous
        while not ended.wait(0.02):
            anonymous = max(anonymous, status("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    session = Session(open_raster(path), load_network(name))
    print(f"  {machine(session)}", flush=True)

    def step(what: str) -> None:
        seconds = time.perf_counter() - began
        print(f"  {what} after {seconds:.0f} s: peak {status('VmHWM'):.0f} MB", flush=True)

    finish(session.predict(), session.handle)
    step("predicted")
    rng = np.random.default_rng(0)
    for _ in range(10):
        row, col = (int(v) for v in rng.integers(0, session.raster.shape[0], 2))
        session.document.click(row, col, int(rng.integers(len(session.document.classes))))
        finish(session.refine(), session.handle)
    step("ten clicks answered")
    fewer = {} if passes is None else {"passes": passes}
    # Clicks at random need not agree, and what is kept close is not redrawn.
    recipe = recipe_named("held-out", adopt="full", **fewer)
    finish(session.adapt(recipe), session.handle)
    step("adapted and redone")
    assert session.map_state.up_to_date("disca") == session.map_state.up_to_date("disir") == 1.0
    ended.set()
    watcher.join()
    print(f"{status('VmHWM'):.0f} {anonymous:.0f}")


def main() -> int:
    """Print a line per side, and the growth."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--sides", type=int, nargs="+", default=[5000, 20_000])
    flags.add_argument("--passes", type=int, help="of the adaptation (as the recipe has it)")
    flags.add_argument("--work", type=Path, help="the image to work on: in the process it starts")
    arguments = flags.parse_args()
    if arguments.work is not None:
        work(arguments.work, arguments.network, arguments.passes)
        return 0
    peaks = []
    with folder_of(arguments) as folder:
        for side in arguments.sides:
            path = image(folder, side)
            command = [sys.executable, __file__, "--work", str(path)]
            command += ["--network", arguments.network]
            if arguments.passes is not None:
                command += ["--passes", str(arguments.passes)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                last = ""
                for line in process.stdout:
                    last = line.rstrip()
                    if line.startswith(" "):
                        print(last, flush=True)
            if process.returncode:
                return process.returncode
            whole, anonymous = (float(value) for value in last.split())
            peaks.append(whole)
            print(f"{side}²: peak {whole:.0f} MB resident, {anonymous:.0f} MB without files")
    if len(peaks) > 1:
        print(f"growth {peaks[-1] / peaks[0] - 1:+.1%} from {arguments.sides[0]}²")
    return 0


if __name__ == "__main__":
    sys.exit(main())
