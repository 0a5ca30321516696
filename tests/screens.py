"""A screen of its own for every process that runs tests.

Two processes that open windows on one screen take the keyboard from each other. On Linux each gets
a virtual screen, where Xvfb is installed; elsewhere all tests with windows run in one process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

#: What tests with windows are a group of, where there is one screen for all processes.
ONE_SCREEN = "one screen"
#: Fixtures of tests with windows.
WINDOWS = frozenset({"make_napari_viewer", "qapp", "qtbot"})


class Screens:
    """A plugin of pytest-xdist's main process: it starts a virtual screen for every worker."""

    def __init__(self) -> None:
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    @staticmethod
    def can_start() -> bool:
        """Whether virtual screens can be had, and Qt has not been told to draw elsewhere."""
        return (
            sys.platform.startswith("linux")
            and shutil.which("Xvfb") is not None
            and "QT_QPA_PLATFORM" not in os.environ
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        if not self.can_start():
            return
        read, write = os.pipe()
        command = ("Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24")
        server = subprocess.Popen(
            (*command, "-nolisten", "tcp"),
            pass_fds=(write,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        with os.fdopen(read, "rb") as answer:
            number = answer.readline().decode().strip()  # empty where it could not start
        if number:
            node.workerinput["display"] = f":{number}"
        self._servers[node.gateway.id] = server

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        self._stop(node.gateway.id)

    def pytest_unconfigure(self) -> None:
        for name in list(self._servers):
            self._stop(name)

    def _stop(self, name: str) -> None:
        server = self._servers.pop(name, None)
        if server is not None:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(10)


def use(config: pytest.Config) -> bool:
    """Draw on the screen that was started for this process; whether there is one."""
    display = getattr(config, "workerinput", {}).get("display")
    if display is None:
        return False
    os.environ["DISPLAY"] = display
    os.environ.pop("WAYLAND_DISPLAY", None)  # Qt would prefer it
    return True


def is_there() -> bool:
    """Whether windows can be opened at all; Qt would end the process."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in names)
