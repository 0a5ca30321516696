"""Puts the user's keys into the table of verbs, and writes the page that lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from napari_disca.core.errors import DiscaError
from napari_disca.gui.viewer.keys.verb import GROUPS, Verb
from napari_disca.gui.viewer.keys.verbs import VERBS


class KeyConflictError(DiscaError):
    """Two verbs have the same key, or a verb cannot have one."""


def with_keys(chosen: Mapping[str, str], verbs: Iterable[Verb] = VERBS) -> tuple[Verb, ...]:
    """Return the verbs with the keys that the user has changed.

    Parameters
    ----------
    chosen : mapping of str to str
        Keys by the verb's name, "" for none. Verbs with a key for each class keep theirs.
    verbs : iterable of Verb

    Raises
    ------
    KeyConflictError
        If two verbs have the same key, or a name is not that of a verb with one key.
    """
    verbs = tuple(verbs)
    changeable = {verb.name for verb in verbs if len(verb.keys) <= 1}
    for name in chosen:
        if name not in changeable:
            raise KeyConflictError(f"{name!r} is not an action whose key can be changed; remove it")
    changed = tuple(
        replace(verb, keys=(chosen[verb.name],) if chosen[verb.name] else ())
        if verb.name in chosen
        else verb
        for verb in verbs
    )
    taken: dict[str, Verb] = {}
    # Changed verbs come last, so that the error names the verb that has the key already.
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
    """Return the verbs by their headings, in the order of `GROUPS`."""
    verbs = tuple(verbs)
    return {group: [verb for verb in verbs if verb.group == group] for group in GROUPS}


def keys_page(verbs: Iterable[Verb] = VERBS) -> str:
    """Return the text of ``docs/keys.md``."""
    lines = [
        "# Keys",
        "",
        "They work wherever the focus is in the window, but not while you type into a text field;",
        "in a number field digits, comma and dot go to the field. `?` shows this page in the",
        "window, where keys can be changed. What has no key is in napari's command palette",
        "(`Ctrl+Shift+P`) and on the buttons.",
        "",
        "This page is made from `gui/viewer/keys/verbs.py` by `python docs/make_keys.py`.",
    ]
    for group, found in grouped(verbs).items():
        if not found:
            continue
        lines += ["", f"## {group}", "", "| key | what | what it does |", "| --- | --- | --- |"]
        for verb in found:
            key = f"`{verb.key}`" if verb.key else ""
            lines.append(f"| {key} | {verb.title} | {verb.does} |")
    return "\n".join(lines) + "\n"
