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
    """

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
        return cls(
            wire.get("message", ""),
            kind=wire.get("kind", "unknown"),
            code=wire.get("code"),
            details=wire.get("details"),
        )
