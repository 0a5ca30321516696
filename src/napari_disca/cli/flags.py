"""Command-line flags made from the fields of dataclasses.

The options of a command are a frozen dataclass (`napari_disca.cli.options`). Each field becomes a
flag or an argument; a field whose type is another dataclass becomes the flags of that one. Flags
have no defaults of their own: one that is not given leaves the dataclass's default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

T = TypeVar("T")

#: Metadata of a field, for its flag. ``tooltip``, ``min`` and ``max`` are also read by the panel's
#: form of a recipe; ``names_default`` is true if the tooltip already says what the default is.
About = Mapping[str, Any]


def flag(
    tooltip: str | Callable[[], str],
    *names: str,
    default: Any = MISSING,
    metavar: str = "",
    parse: Callable[[str], Any] | None = None,
    repeat: bool = False,
) -> Any:
    """Return a field of an options dataclass that becomes a flag.

    Parameters
    ----------
    tooltip : str or callable
        Its help, to which the default is added. A callable returns the help; it is called only for
        the command that runs.
    *names : str
        The flag's names, if it is not ``--`` and the field's name.
    default : optional
        If there is none, the flag must be given.
    metavar : str
        Stands for the value in the help.
    parse : callable, optional
        Converts the text to the value, or raises `typer.BadParameter`.
    repeat : bool
        Whether the flag can be given several times; `parse` then converts each text, and the field
        is a tuple. A tuple without `parse` can be repeated anyway.
    """
    about = {
        "tooltip": tooltip, "names": names, "metavar": metavar, "parse": parse, "repeat": repeat,
    }  # fmt: skip
    return field(default=default, metadata=about)


def argument(tooltip: str, metavar: str) -> Any:
    """Return a field of an options dataclass that becomes an argument, without a name.

    Parameters
    ----------
    tooltip : str
        Its help.
    metavar : str
        Stands for the value in the help.
    """
    return field(metadata={"tooltip": tooltip, "metavar": metavar, "argument": True})


@dataclass(frozen=True)
class FieldsOf:
    """Flags for the fields of dataclasses of the engine; the value maps names to given values.

    Parameters
    ----------
    kinds : callable
        Returns the dataclasses. It is called only for the command that runs, because their modules
        import torch.
    title : str
        Heading of the flags in the help.
    metadata : callable, optional
        Returns metadata by the field's name, for fields that have none; None makes no flag.
    """

    kinds: Callable[[], Iterable[type]]
    title: str
    metadata: Callable[[], Mapping[str, About | None]] = dict


def fields_of(source: FieldsOf) -> Any:
    """Return a field of an options dataclass with the given values of the engine's fields."""
    return field(default_factory=dict, metadata={"source": source})


def command_function(
    kind: type[T], run: Callable[[T], int], *, complete: bool
) -> Callable[..., int]:
    """Return a function for typer, whose parameters are the fields of a dataclass.

    Parameters
    ----------
    kind : type
        The frozen dataclass of the command's options.
    run : callable
        Called with an instance of it; returns the exit code.
    complete : bool
        Whether to add the flags of `FieldsOf`.
    """

    def function(**given: Any) -> int:
        return run(_options_of(kind, given))

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
    metadata, names = source.metadata(), set()
    for kind in source.kinds():
        hints = get_type_hints(kind)
        for entry in fields(kind):
            about = entry.metadata or metadata.get(entry.name, {})
            if about is None or entry.name in names or not _has_flag(hints[entry.name], about):
                continue
            names.add(entry.name)
            about = {**about, "title": source.title, "switch": True}
            default = None if entry.default is MISSING else entry.default
            yield _parameter(prefix + entry.name, entry.name, hints[entry.name], default, about)


def _options_of(kind: type[T], given: Mapping[str, Any], prefix: str = "") -> T:
    """Return an instance of a dataclass of options, with the values that were given."""
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
            chosen[entry.name] = _options_of(hint, given, f"{name}__")  # type: ignore[arg-type]
        elif given.get(name) is not None:
            value = given[name]
            chosen[entry.name] = tuple(value) if isinstance(value, list) else value
    return kind(**chosen)


def _has_flag(hint: Any, about: About) -> bool:
    """Return whether a flag can have a value of a type; not for a dataclass or a tuple."""
    return (
        bool(about.get("parse")) or _plain(hint) in _TYPES or (get_origin(_plain(hint)) is Literal)
    )


_TYPES = (bool, int, float, str)


def _plain(hint: Any) -> Any:
    """Return a type without "or None"."""
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
        # With hyphens for spaces, which would have to be quoted.
        by_spelling = {_spelling(choice): choice for choice in get_args(plain)}
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
    # Its type hints take the first name for a default.
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
    without = default is None or default in ("", ()) or about.get("names_default", False)
    if without or (isinstance(default, bool) and not about.get("switch")):
        return tooltip
    return f"{tooltip} (default {_spelling(default)})".strip()


def _spelling(value: object) -> str:
    """Return how a value is written on the command line."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "-")


def _choice(by_spelling: dict[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return by_spelling[_spelling(text)]
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
        if not low <= value <= high:  # also refuses "nan"
            raise typer.BadParameter(f"{text} is not {_range(low, high)}")
        return value

    return parse


def _range(low: float, high: float) -> str:
    if high == float("inf"):
        return "a number" if low == float("-inf") else f"{low:g} or more"
    return f"between {low:g} and {high:g}"
