"""Peak memory of `napari-disca predict` on a large image against a small one.

    python benchmarks/headless_memory.py [--sides 2048 8192] [--workers 2] [--threads 1]

Writes generated scenes to a temporary folder and draws their maps, each in a process of its own,
whose peak resident memory the operating system tells.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_SCENE = """
import sys
from pathlib import Path
from napari_disca.core.events import finish
from napari_disca.scenes import Scene, write_scene
side = int(sys.argv[1])
finish(write_scene(Scene((side, side), seed=3, ground_resolution=1.0), Path(sys.argv[2])))
"""


def measured(image: Path, arguments: argparse.Namespace) -> tuple[float, float]:
    """Peak resident memory (MB) and seconds of `predict`."""
    command = [sys.executable, "-m", "napari_disca", "predict", str(image)]
    command += ["-o", str(image.with_name("map.tif")), "--workers", str(arguments.workers)]
    command += ["--device", arguments.device, "--precision", arguments.precision]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"predict failed with exit code {child.returncode}")
    # Linux counts kilobytes, macOS bytes.
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return usage.ru_maxrss / scale, time.perf_counter() - began


def main() -> int:
    """Print both peaks and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs=2, default=[2048, 8192])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory(prefix="napari-disca-benchmark-") as folder:
        for side in arguments.sides:
            image = Path(folder) / f"{side}.tif"
            subprocess.run([sys.executable, "-c", _SCENE, str(side), str(image)], check=True)
            peak, seconds = measured(image, arguments)
            print(f"{side}²: peak {peak:.0f} MB, {seconds:.1f} s")
            peaks.append(peak)
    print(f"peak memory, large against small: {peaks[1] / peaks[0]:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
