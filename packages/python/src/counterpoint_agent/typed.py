"""Payloads as the types that a task function declares, and outputs as JSON."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any, Callable, Tuple


class Unfit(Exception):
    """A value does not have the declared type."""


def parameters(function: Callable[..., Any]) -> Tuple[Any, int]:
    """The declared type of the first parameter of a task function, and the number of its parameters: the payload, and
    perhaps the attempt."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [one for one in inspect.signature(function).parameters.values() if one.kind in positional]
    if len(found) not in (1, 2):
        raise TypeError(f"{function.__name__}: expected the parameters (payload) or (payload, attempt)")
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # A name that cannot be resolved is no type that could be checked.
        hints = {}
    return hints.get(found[0].name, Any), len(found)


def read(value: Any, kind: Any, place: str = "payload") -> Any:
    """The value as a declared type: a dataclass, a list, a dict or an optional of such types, or a type of JSON. Values of
    other types are passed as they are."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(value, kind, place)
    if origin is typing.Union or (origin is not None and origin.__class__.__name__ == "UnionType"):
        if value is None and type(None) in inner:
            return None
        options = [one for one in inner if one is not type(None)]
        return read(value, options[0], place) if len(options) == 1 else value
    if origin is list and inner:
        _expect(value, list, place)
        return [read(one, inner[0], f"{place}[{index}]") for index, one in enumerate(value)]
    if origin is dict and len(inner) == 2:
        _expect(value, dict, place)
        return {name: read(one, inner[1], f"{place}.{name}") for name, one in value.items()}
    if kind is float:
        _expect(value, (int, float), place)
        return float(value)
    if kind in (str, bool, int, list, dict):
        _expect(value, kind, place)
    return value


def _dataclass(value: Any, kind: Any, place: str) -> Any:
    _expect(value, dict, place)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise Unfit(f"{place} has no field `{unknown[0]}`: expected {', '.join(fields)}")
    given = {}
    for name, field in fields.items():
        if name in value:
            given[name] = read(value[name], hints.get(name, Any), f"{place}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Unfit(f"{place} lacks the field `{name}`")
    return kind(**given)


def _expect(value: Any, kind: Any, place: str) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # A truth value is no number, although Python derives one from the other.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise Unfit(f"{place} is {type(value).__name__}, expected {' or '.join(one.__name__ for one in kinds)}")


def write(value: Any) -> Any:
    """A value as JSON: dataclasses become objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (list, tuple)):
        return [write(one) for one in value]
    if isinstance(value, dict):
        return {name: write(one) for name, one in value.items()}
    return value
