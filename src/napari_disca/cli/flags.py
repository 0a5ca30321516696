"""Command-line flags made from the fields of dataclasses.

The options of a command are a frozen dataclass (`napari_disca.cli.options`). Each field becomes a
flag or an argument; a field whose type is another dataclass becomes the flags of that one. Flags
have no defaults of their own: one that is not given leaves the dataclass's default.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import NoneType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

from napari_disca.core.typed_values import (
    choices_of,
    is_choice,
    is_typed,
    kinds_of,
    text_of,
    value_of_text,
)

T = TypeVar("T")

#: Stands for a None that was given, because typer gives None for a flag that was not.
_NONE = object()
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
    metadata = source.metadata()
    found: dict[str, tuple[Any, Any, About]] = {}
    for kind in source.kinds():
        hints = get_type_hints(kind)
        for entry in fields(kind):
            about = entry.metadata or metadata.get(entry.name, {})
            if about is None or not _has_flag(hint := hints[entry.name], about):
                continue
            if entry.name in found:
                earlier, default, first = found[entry.name]
                found[entry.name] = Union[earlier, hint], default, _widened(first, about)  # noqa: UP007
            else:
                default = None if entry.default is MISSING else entry.default
                found[entry.name] = hint, default, {**about, "title": source.title, "switch": True}
    for name, (hint, default, about) in found.items():
        yield _parameter(prefix + name, name, hint, default, about)


def _widened(about: About, other: About) -> About:
    """Return metadata with limits that allow what two fields of one name allow together."""
    low = min(about.get("min", -math.inf), other.get("min", -math.inf))
    high = max(about.get("max", math.inf), other.get("max", math.inf))
    return {**about, "min": low, "max": high}


def _options_of(kind: type[T], given: Mapping[str, Any], prefix: str = "") -> T:
    """Return an instance of a dataclass of options, with the values that were given."""
    hints = get_type_hints(kind)
    chosen: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        name, hint = prefix + entry.name, hints[entry.name]
        if "source" in entry.metadata:
            start = f"{name}__"
            chosen[entry.name] = {
                key.removeprefix(start): _value(value)
                for key, value in given.items()
                if key.startswith(start) and value is not None
            }
        elif is_dataclass(hint):
            chosen[entry.name] = _options_of(hint, given, f"{name}__")  # type: ignore[arg-type]
        elif given.get(name) is not None:
            chosen[entry.name] = _value(given[name])
    return kind(**chosen)


def _value(given: Any) -> Any:
    if isinstance(given, list):
        return tuple(given)
    return None if given is _NONE else given


def _has_flag(hint: Any, about: About) -> bool:
    """Return whether a field gets a flag; one of tuples only if it has a help."""
    if about.get("parse"):
        return True
    tuples = any(get_origin(kind) is tuple for kind in kinds_of(hint))
    return is_typed(hint) and (not tuples or bool(about.get("tooltip")))


def _parameter(
    name: str, field_name: str, hint: Any, default: Any, about: About
) -> inspect.Parameter:
    metavar, parse = about.get("metavar") or None, about.get("parse")
    kinds = [one for one in kinds_of(hint) if one is not NoneType]
    kind: Any
    if parse is not None:
        kind = list[str] if about.get("repeat") else str
    elif get_origin(kinds[0]) is tuple and "switch" not in about:
        kind = list[get_args(kinds[0])[0]]  # type: ignore[misc]
    elif kinds in ([bool], [str]) or not is_typed(hint):
        kind = kinds[0]
    else:
        parse, metavar, kind = _parser(hint, about), metavar or _metavar(hint), str
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
    return text_of(value).replace(" ", "-")


def _metavar(hint: Any) -> str:
    """Return what stands for a value in the help: its choices or its type."""
    kinds = [kind for kind in kinds_of(hint) if kind is not NoneType]
    if is_choice(hint):
        return "{" + ",".join(map(_spelling, choices_of(hint))) + "}"
    return kinds[0].__name__.upper() if len(kinds) == 1 and kinds[0] in (int, float) else "VALUE"


def _parser(hint: Any, about: About) -> Callable[[str], Any]:
    low, high = about.get("min", -math.inf), about.get("max", math.inf)

    def parse(text: str) -> Any:
        try:
            value = value_of_text(text, hint)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} {error}") from None
        # NaN is not in the range either.
        if isinstance(value, int | float) and not low <= value <= high:
            raise typer.BadParameter(f"{text} is not {_range(low, high)}")
        return _NONE if value is None else value

    return parse


def _range(low: float, high: float) -> str:
    if high == float("inf"):
        return "a number" if low == float("-inf") else f"{low:g} or more"
    return f"between {low:g} and {high:g}"
