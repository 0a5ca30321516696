"""Which key does what: the table of verbs with the user's keys, and the page that lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from napari_disca.core.errors import DiscaError
from napari_disca.gui.viewer.verb import GROUPS, Verb
from napari_disca.gui.viewer.verbs import VERBS


class KeyConflictError(DiscaError):
    """Two verbs want the same key."""


def with_keys(chosen: Mapping[str, str], verbs: Iterable[Verb] = VERBS) -> tuple[Verb, ...]:
    """The table with keys that the user has chosen.

    Parameters
    ----------
    chosen : mapping of str to str
        A key, or "" for none, by the verb's name. Verbs with a key for each class keep theirs.
    verbs : iterable of Verb

    Raises
    ------
    KeyConflictError
        If two verbs have the same key; if a name is that of no verb, or of one with several keys.
    """
    verbs = tuple(verbs)
    changeable = {verb.name for verb in verbs if len(verb.keys) <= 1}
    for name in chosen:
        if name not in changeable:
            raise KeyConflictError(f"{name!r} is nothing whose key can be changed; remove it")
    changed = tuple(
        replace(verb, keys=(chosen[verb.name],) if chosen[verb.name] else ())
        if verb.name in chosen
        else verb
        for verb in verbs
    )
    taken: dict[str, Verb] = {}
    # Those that were changed come last, so that what is told is which key was taken.
    for verb in sorted(changed, key=lambda verb: verb.name in chosen):
        for key in verb.keys:
            other = taken.setdefault(key.casefold(), verb)
            if other is not verb:
                raise KeyConflictError(
                    f"{key} is the key of '{other.title}' already; choose another for "
                    f"'{verb.title}', or take it from '{other.title}' first"
                )
    return changed


def grouped(verbs: Iterable[Verb] = VERBS) -> dict[str, list[Verb]]:
    """The verbs under their headings, in the order of `GROUPS`."""
    verbs = tuple(verbs)
    return {group: [verb for verb in verbs if verb.group == group] for group in GROUPS}


def keys_page(verbs: Iterable[Verb] = VERBS) -> str:
    """Text of ``docs/keys.md``."""
    lines = [
        "# Keys",
        "",
        "They work wherever the focus is in the window, but not while you type into a text field;",
        "in a number field digits, comma and dot go to the field. `?` shows this page in the",
        "window, where keys can be changed. What has no key is in napari's command palette",
        "(`Ctrl+Shift+P`) and on the buttons.",
        "",
        "This page is made from `gui/viewer/verbs.py` by `python docs/make_keys.py`.",
    ]
    for group, found in grouped(verbs).items():
        if not found:
            continue
        lines += ["", f"## {group}", "", "| key | what | what it does |", "| --- | --- | --- |"]
        for verb in found:
            key = f"`{verb.key}`" if verb.key else ""
            lines.append(f"| {key} | {verb.title} | {verb.does} |")
    return "\n".join(lines) + "\n"
