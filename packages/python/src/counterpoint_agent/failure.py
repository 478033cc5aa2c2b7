"""Failures of tasks."""

from __future__ import annotations

import re
from typing import Any, Optional

KINDS = ("transient", "permanent", "overloaded", "unknown")


class Failure(Exception):
    """The failure of an attempt. Raised by a task function, it decides what follows.

    :param message: a text for people.
    :param kind: ``"transient"`` (the task may be retried), ``"permanent"`` (it is not retried), ``"overloaded"`` (it is
        retried after ``retry_after``, and the agent gets less work), ``"unknown"`` (whether the work was done is unknown).
    :param code: a short name for programs, of at most 64 letters, digits, ``_ . : -``. Retry rules and handlers match on it.
    :param details: data as JSON, for handlers and people.
    :param retry_after: the shortest delay before another attempt, in seconds.

    The failure of a task or run, as :class:`Client` shows it, also has ``path``, the nodes of workflows through which it passed,
    from the innermost on, each with ``workflow``, ``node`` and, of several instances, ``instance``; and ``cause``, the failure
    that caused it.
    """

    path: "list[dict]"
    cause: "Optional[Failure]"

    def __init__(
        self,
        message: str,
        *,
        kind: str = "transient",
        code: Optional[str] = None,
        details: Any = None,
        retry_after: Optional[float] = None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of failure: expected one of {', '.join(KINDS)}")
        if code is not None and not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", code):
            raise ValueError(f"{code!r} is no code: expected 1 to 64 letters, digits, and `_.:-`")
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.code = code
        self.details = details
        self.retry_after = retry_after
        self.path = []
        self.cause = None

    def to_wire(self) -> dict:
        wire: dict = {"kind": self.kind, "message": self.message}
        if self.code is not None:
            wire["code"] = self.code
        if self.details is not None:
            wire["details"] = self.details
        if self.retry_after is not None:
            wire["retry_after"] = round(self.retry_after * 1_000_000_000)
        return wire

    @classmethod
    def of_wire(cls, wire: dict) -> "Failure":
        """The failure in an outcome."""
        # The codes of the server itself have the same form.
        failure = cls(
            wire.get("message", ""),
            kind=wire.get("kind", "unknown"),
            code=wire.get("code"),
            details=wire.get("details"),
            retry_after=_seconds(wire.get("retry_after")),
        )
        failure.path = list(wire.get("path", ()))
        cause = wire.get("cause")
        failure.cause = None if cause is None else cls.of_wire(cause)
        return failure


_UNITS = {
    "year": 31_557_600.0,
    "month": 2_630_016.0,
    "day": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}


def _seconds(duration: Any) -> Optional[float]:
    """The seconds of a duration in a message: a text such as ``1m 30s``, or nanoseconds."""
    if isinstance(duration, (int, float)):
        return duration / 1e9
    if not isinstance(duration, str):
        return None
    parts = re.findall(r"(\d+)(year|month|day|h|ms|m|s|us|ns)s?\b", duration)
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
