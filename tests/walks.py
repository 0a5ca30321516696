"""The walks of docs/architecture.md, and a look at whether a run takes them."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Protocol

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"


def sections() -> dict[str, str]:
    """Text of the document's sections, by their titles."""
    parts = re.split(r"^## (.+)$", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


#: Names of functions in the order in which they are called, by the title of the walk.
WALKS = {
    title: re.findall(r"^\d+\. `([\w.]+)`", text, flags=re.MULTILINE)
    for title, text in sections().items()
    if re.search(r"^1\. ", text, flags=re.MULTILINE)
}


class Calls:
    """Calls of the functions that walks name, in all threads that began after `following` did.

    A generator is called when it begins and whenever it goes on.
    """

    def __init__(self) -> None:
        #: Threads and what they have called.
        self._made: list[tuple[int, CodeType]] = []
        self._codes = {title: _codes_of(steps) for title, steps in WALKS.items()}
        self._named = {code for codes in self._codes.values() for code in codes}

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """As `sys.setprofile` wants it."""
        if event == "call" and frame.f_code in self._named:
            self._made.append((threading.get_ident(), frame.f_code))

    def forget(self) -> None:
        """Forget what was called until now."""
        self._made.clear()

    def order(self, title: str) -> list[str]:
        """Functions of a walk that were called, those first that were called first.

        Of functions that different threads have called, either may be first.
        """
        names = self._codes[title]
        made = [(thread, names[code]) for thread, code in self._made if code in names]
        found = list(dict.fromkeys(name for _, name in made))
        walk = [step for step in WALKS[title] if step in found]
        for thread in {thread for thread, _ in made}:
            own = list(dict.fromkeys(name for other, name in made if other == thread))
            if own != [step for step in walk if step in own]:
                return found
        return walk


@contextmanager
def following() -> Iterator[Calls]:
    """Note calls until the end of the block."""
    calls = Calls()
    threading.setprofile(calls)
    sys.setprofile(calls)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def _codes_of(steps: Sequence[str]) -> dict[CodeType, str]:
    return {code: step for step in steps for code in _codes(step)}


def _codes(dotted: str) -> list[CodeType]:
    """Code of a function; of all recipes' where the name is that of their protocol."""
    parts = dotted.split(".")
    depth = next(n for n in range(len(parts), 0, -1) if _is_module(parts[:n]))
    owner: Any = importlib.import_module(".".join(["napari_disca", *parts[:depth]]))
    for name in parts[depth:-1]:
        owner = getattr(owner, name)
    owners = [owner]
    if inspect.isclass(owner) and Protocol in owner.__bases__:
        from napari_disca.recipes import RECIPES

        owners = list(RECIPES.values())
    return [inspect.unwrap(getattr(found, parts[-1])).__code__ for found in owners]


def _is_module(parts: list[str]) -> bool:
    package = DOCUMENT.parents[1] / "src" / "napari_disca"
    return package.joinpath(*parts).with_suffix(".py").is_file()
