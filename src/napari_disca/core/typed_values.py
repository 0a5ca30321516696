"""Values of annotated fields and parameters, from text and from JSON.

The types are bool, int, float, str, ``Literal``, tuples of these, and unions of these with each
other and with None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

#: The plain types in the order in which a text is tried, with what their values are called.
_PLAIN = {
    NoneType: "none", bool: "true or false", int: "a whole number", float: "a number", str: "a text"
}  # fmt: skip


def is_typed(hint: object) -> bool:
    """Return whether this module knows a type: not a dataclass or a mapping, for instance."""
    return all(
        kind in _PLAIN
        or get_origin(kind) is Literal
        or (get_origin(kind) is tuple and all(map(is_typed, _items(kind))))
        for kind in kinds_of(hint)
    )


def kinds_of(hint: object) -> tuple[Any, ...]:
    """Return the types of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def choices_of(hint: object) -> tuple[Any, ...]:
    """Return the values of ``Literal`` in a type, then None if it is one of the types."""
    kinds = kinds_of(hint)
    values = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    return (*values, None) if NoneType in kinds else tuple(values)


def is_choice(hint: object) -> bool:
    """Return whether a type consists of the values that `choices_of` returns."""
    return all(kind is NoneType or get_origin(kind) is Literal for kind in kinds_of(hint))


def text_of(value: object) -> str:
    """Return a value as text, from which `value_of_text` gives it again."""
    if isinstance(value, tuple):
        return ",".join(map(text_of, value))
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def value_of_text(text: str, hint: object) -> Any:
    """Return the value of a type that a text stands for.

    Values of a tuple are separated by commas. A ``Literal`` may have hyphens for blanks.

    Raises
    ------
    ValueError
        If it stands for none. The message goes on after the text: ``"is not a number"``.
    """
    return _first(text.strip(), hint, _read)


def checked_value(value: object, hint: object) -> Any:
    """Return a value of a type, for instance one of JSON; a list becomes a tuple.

    Whole numbers are also values of float.

    Raises
    ------
    ValueError
        If it has another type. The message goes on after the value: ``"is not a number"``.
    """
    return _first(value, hint, _check)


def _first(given: Any, hint: object, convert: Callable[[Any, Any], Any]) -> Any:
    """Return what the first type of a union that accepts a value or text makes of it."""
    order = list(_PLAIN)
    for kind in sorted(kinds_of(hint), key=lambda k: order.index(k) if k in _PLAIN else -1):
        try:
            return convert(given, kind)
        except (ValueError, TypeError, KeyError):
            continue
    raise ValueError(_expected(hint))


def _expected(hint: object) -> str:
    kinds = kinds_of(hint)
    choices = [text_of(value) for value in choices_of(hint)]
    if is_choice(hint):
        return f"is unknown; use {' or '.join(choices)}"
    words = [word for word in choices if word != _PLAIN[NoneType]]
    words += [_PLAIN[kind] for kind in kinds if kind in _PLAIN and kind is not NoneType]
    if any(get_origin(kind) is tuple for kind in kinds):
        words.append("a list with commas, whose values are of the right type and number")
    if NoneType in kinds:
        words.append(_PLAIN[NoneType])
    return f"is not {' or '.join(words)}"


def _read(text: str, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return {_hyphens(text_of(value)): value for value in get_args(kind)}[_hyphens(text)]
    if get_origin(kind) is tuple:
        parts = text.strip("()[]").split(",")
        return _tuple([part for part in parts if part.strip()], kind, value_of_text)
    if kind in (bool, NoneType):
        value = {"true": True, "false": False, "none": None, "": None}[text.lower()]
        return _check(value, kind)
    return kind(text)


def _check(value: Any, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        fits = any(value == one and type(value) is type(one) for one in get_args(kind))
    elif get_origin(kind) is tuple:
        if isinstance(value, list | tuple):
            return _tuple(value, kind, checked_value)
        fits = False
    elif kind in (int, float):
        allowed = int if kind is int else (int, float)
        fits = isinstance(value, allowed) and not isinstance(value, bool)
    else:
        fits = kind not in _PLAIN or isinstance(value, kind)
    if not fits:
        raise ValueError(value)
    return value


def _items(kind: Any) -> tuple[Any, ...]:
    """Return the types of a tuple's values; one of them if there may be any number."""
    return tuple(item for item in get_args(kind) if item is not Ellipsis)


def _tuple(values: Sequence[Any], kind: Any, convert: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    hints: Sequence[Any] = _items(kind)
    if Ellipsis in get_args(kind):
        hints = [*hints] * len(values)
    return tuple(convert(value, hint) for value, hint in zip(values, hints, strict=True))


def _hyphens(text: str) -> str:
    return text.replace(" ", "-")
