"""Command-line flags made from the fields of dataclasses.

What a command is told is a frozen dataclass (`napari_disca.cli.options`); a field becomes a flag
or an argument, a field that holds another dataclass becomes that one's flags. Nothing on the
command line has a default of its own: what is not given is left out, and the dataclass's default
applies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

T = TypeVar("T")

#: What a field's metadata may say of its flag. ``tooltip``, ``min`` and ``max`` are the same as in
#: a recipe, where the panel's form reads them, too; ``names_default`` is set where the tooltip
#: says itself what holds if the flag is not given.
About = Mapping[str, Any]


def flag(
    tooltip: str | Callable[[], str],
    *names: str,
    default: Any = MISSING,
    metavar: str = "",
    parse: Callable[[str], Any] | None = None,
    repeat: bool = False,
) -> Any:
    """Field of an options dataclass that is a flag.

    Parameters
    ----------
    tooltip : str or callable
        What its help says; the default is added. A callable is called for the command that runs
        only.
    *names : str
        How it is written, if not as ``--its-name``.
    default : optional
        Without one the flag must be given.
    metavar : str
        What stands for its value in the help.
    parse : callable, optional
        From text to value; it raises `typer.BadParameter`.
    repeat : bool
        Whether every value is parsed for itself, and the field holds a tuple of them. (What has
        no `parse` and is a tuple is repeated anyway.)
    """
    about = {
        "tooltip": tooltip, "names": names, "metavar": metavar, "parse": parse, "repeat": repeat,
    }  # fmt: skip
    return field(default=default, metadata=about)


def argument(tooltip: str, metavar: str) -> Any:
    """Field of an options dataclass that is given by its position."""
    return field(metadata={"tooltip": tooltip, "metavar": metavar, "argument": True})


@dataclass(frozen=True)
class FieldsOf:
    """Flags for the fields of other dataclasses; the value is a mapping of those that were given.

    Parameters
    ----------
    kinds : callable
        Returns the dataclasses. It is called for the command that runs only, because their
        modules import torch.
    title : str
        Heading over the flags.
    told : callable, optional
        Returns metadata by field for fields that have none; None: no flag for this field.
    """

    kinds: Callable[[], Iterable[type]]
    title: str
    told: Callable[[], Mapping[str, About | None]] = dict


def fields_of(source: FieldsOf) -> Any:
    """Field of an options dataclass that holds what was given of other dataclasses' fields."""
    return field(default_factory=dict, metadata={"source": source})


def command_function(
    kind: type[T], run: Callable[[T], int], *, complete: bool
) -> Callable[..., int]:
    """Return a function that typer makes a command of: its parameters are the fields of `kind`.

    Parameters
    ----------
    kind : type
        Frozen dataclass of what the command is told.
    run : callable
        Takes an instance of it.
    complete : bool
        With the flags that come from `FieldsOf`.
    """

    def function(**given: Any) -> int:
        return run(_gathered(kind, given))

    parameters = list(_parameters(kind, complete=complete))
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    return function


def _parameters(kind: type, prefix: str = "", *, complete: bool) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind)
    for entry in fields(kind):
        name, hint = prefix + entry.name, hints[entry.name]
        if "source" in entry.metadata:
            if complete:
                yield from _given_parameters(entry.metadata["source"], f"{name}__")
        elif is_dataclass(hint):
            yield from _parameters(hint, f"{name}__", complete=complete)  # type: ignore[arg-type]
        else:
            about = dict(entry.metadata)
            if callable(about["tooltip"]):
                about["tooltip"] = about["tooltip"]() if complete else ""
            yield _parameter(name, entry.name, hint, entry.default, about)


def _given_parameters(source: FieldsOf, prefix: str) -> Iterator[inspect.Parameter]:
    told, taken = source.told(), set()
    for kind in source.kinds():
        hints = get_type_hints(kind)
        for entry in fields(kind):
            about = entry.metadata or told.get(entry.name, {})
            if about is None or entry.name in taken or not _can_be_said(hints[entry.name], about):
                continue
            taken.add(entry.name)
            about = {**about, "title": source.title, "switch": True}
            default = None if entry.default is MISSING else entry.default
            yield _parameter(prefix + entry.name, entry.name, hints[entry.name], default, about)


def _gathered(kind: type[T], given: Mapping[str, Any], prefix: str = "") -> T:
    hints = get_type_hints(kind)
    chosen: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        name, hint = prefix + entry.name, hints[entry.name]
        if "source" in entry.metadata:
            start = f"{name}__"
            chosen[entry.name] = {
                key.removeprefix(start): value
                for key, value in given.items()
                if key.startswith(start) and value is not None
            }
        elif is_dataclass(hint):
            chosen[entry.name] = _gathered(hint, given, f"{name}__")  # type: ignore[arg-type]
        elif given.get(name) is not None:
            value = given[name]
            chosen[entry.name] = tuple(value) if isinstance(value, list) else value
    return kind(**chosen)


def _can_be_said(hint: Any, about: About) -> bool:
    """Whether a flag can say such a value; a nested dataclass or a tuple it cannot."""
    return (
        bool(about.get("parse")) or _plain(hint) in _TYPES or (get_origin(_plain(hint)) is Literal)
    )


_TYPES = (bool, int, float, str)


def _plain(hint: Any) -> Any:
    """Type without "or None"."""
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        return parts[0] if len(parts) == 1 else hint
    return hint


def _parameter(
    name: str, field_name: str, hint: Any, default: Any, about: About
) -> inspect.Parameter:
    metavar, parse = about.get("metavar") or None, about.get("parse")
    kind: Any
    if parse is not None:
        kind = list[str] if about.get("repeat") else str
    elif get_origin(plain := _plain(hint)) is Literal:
        # Blanks would have to be quoted.
        by_spelling = {_spelt(choice): choice for choice in get_args(plain)}
        parse, metavar, kind = _choice(by_spelling), "{" + ",".join(by_spelling) + "}", str
    elif plain in (int, float):
        parse, metavar, kind = _number(plain, about), metavar or plain.__name__.upper(), plain
    elif get_origin(plain) is tuple:
        kind = list[get_args(plain)[0]]  # type: ignore[misc]
    else:
        kind = plain
    names = about.get("names") or (f"--{field_name.replace('_', '-')}",)
    if kind is bool and about.get("switch"):
        names = tuple(f"{each}/--no-{each.removeprefix('--')}" for each in names)
    required = default is MISSING
    tooltip = _help(about, None if required else default)
    common: dict[str, Any] = {
        "help": tooltip, "metavar": metavar, "parser": parse, "show_default": False,
    }  # fmt: skip
    # Typed as if the first name were a default.
    option: Any = typer.Option
    if about.get("argument"):
        info = typer.Argument(**common)
    elif kind is bool:
        info = option(*names, help=tooltip, show_default=False, **_panel(about))
    else:
        info = option(*names, **common, **_panel(about))
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind if required else kind | None, info],
    )


def _panel(about: About) -> dict[str, Any]:
    return {"rich_help_panel": about["title"]} if "title" in about else {}


def _help(about: About, default: object) -> str:
    tooltip = str(about.get("tooltip", ""))
    tooltip = tooltip[:1].upper() + tooltip[1:]
    unsaid = default is None or default in ("", ()) or about.get("names_default", False)
    if unsaid or (isinstance(default, bool) and not about.get("switch")):
        return tooltip
    return f"{tooltip} (default {_spelt(default)})".strip()


def _spelt(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "-")


def _choice(by_spelling: dict[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return by_spelling[_spelt(text)]
        except KeyError:
            raise typer.BadParameter(
                f"{text!r} is unknown; use {' or '.join(by_spelling)}"
            ) from None

    return parse


def _number(kind: type[int] | type[float], about: About) -> Callable[[str], float]:
    low, high = about.get("min", float("-inf")), about.get("max", float("inf"))

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            whole = "whole number" if kind is int else "number"
            raise typer.BadParameter(f"{text!r} is not a {whole}") from None
        if not low <= value <= high:  # nor is "nan" between them
            raise typer.BadParameter(f"{text} is not {_range(low, high)}")
        return value

    return parse


def _range(low: float, high: float) -> str:
    if high == float("inf"):
        return "a number" if low == float("-inf") else f"{low:g} or more"
    return f"between {low:g} and {high:g}"
