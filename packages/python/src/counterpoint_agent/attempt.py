"""An attempt at a task, in the hands of a task function."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Optional

from . import typed
from .failure import Failure
from .wire import Problem

if TYPE_CHECKING:
    from .agent import _Session


class Cancelled(Exception):
    """The attempt was cancelled. A task function may let it pass: nothing is reported but the cancellation."""


class GiveBack(Exception):
    """Raised by a task function that was requested back (:attr:`Attempt.requested_back`) and has had no side effects: the
    task is performed elsewhere, and the attempt does not count."""


class Attempt:
    """An attempt at a task.

    :ivar number: the number of the attempt at this task, from 1.
    :ivar kind: the kind of the task.
    :ivar key: the idempotency key of the work: the same for all attempts at a task, different for all other tasks of all
        servers. Send it with requests to other systems. ``None`` if the journal of the server is not identified.
    :ivar last_details: the details of the last heartbeat of an earlier attempt at this task, from which this one may go on;
        ``None`` if there are none.
    :ivar heartbeat_timeout: the longest time between two reports of the attempt, in seconds; ``None`` without a limit.
    """

    def __init__(self, session: "_Session", given: Dict[str, Any], ahead: float) -> None:
        self._session = session
        self.id: Dict[str, Any] = given["attempt"]
        self.number: int = given["attempt"]["number"]
        self.kind: str = given["kind"]
        self.key: Optional[str] = given.get("key")
        self.payload: Any = given.get("payload")
        self.last_details: Any = given.get("details")
        self.heartbeat_timeout: Optional[float] = span(given.get("heartbeat_timeout"))
        self._until = _seconds(given.get("until"), ahead)
        self._deadline = _seconds(given.get("deadline"), ahead)
        self._cancelled = threading.Event()
        self._requested_back = threading.Event()
        self._usage: Dict[str, int] = {}
        self._lock = threading.Lock()
        # The rejection of an earlier report.
        self._rejected: Optional[Problem] = None

    @property
    def cancelled(self) -> bool:
        """Whether the attempt was cancelled, or its result is of no use any more: the agent has lost its lease."""
        return self._cancelled.is_set()

    @property
    def requested_back(self) -> bool:
        """Whether the server requests the attempt back, for more urgent work. A function that has had no side effects may
        raise :class:`GiveBack`; any other goes on."""
        return self._requested_back.is_set()

    def wait_cancelled(self, timeout: Optional[float] = None) -> bool:
        """Waits until the attempt is cancelled, or for ``timeout`` seconds, and returns whether it was cancelled."""
        return self._cancelled.wait(timeout)

    def raise_if_cancelled(self) -> None:
        """Raises :class:`Cancelled` if the attempt was cancelled."""
        if self.cancelled:
            raise Cancelled()

    @property
    def seconds_left(self) -> Optional[float]:
        """The time until the server stops waiting for the result, in seconds; ``None`` without a limit."""
        ends = [end for end in (self._until, self._deadline) if end is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def heartbeat(self, details: Any = None) -> None:
        """Reports that the attempt is under way, with details of its work as JSON, such as how far it has come. Without a report
        for the heartbeat timeout of its task, the attempt is given up and the task performed again. The next attempt gets the
        details as its :attr:`last_details`; they replace earlier ones.

        A report never waits: it is sent soon after, and of those in between the last one counts.

        :raises Failure: if the server has rejected an earlier report, such as one with details that are too large.
        :raises TypeError, ValueError: if the details are not JSON.
        """
        self._report("attempt_heartbeat", {} if details is None else {"details": details})

    def progress(self, share: float, text: str = "") -> None:
        """Reports how far the attempt has come, from 0 to 1, with a text for people of at most 1,024 bytes. It is also a heartbeat.

        :raises Failure: if the server has rejected an earlier report.
        :raises ValueError: if the share is not from 0 to 1, or the text is too long.
        """
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"share={share!r}: expected a number from 0 to 1")
        if len(text.encode()) > 1024:
            raise ValueError(f"text: {len(text.encode())} bytes, expected at most 1024")
        self._report("progress", {"progress": {"share": share, "text": text}})

    def emit(self, chunk: Any) -> None:
        """Reports a part of the output as JSON, such as tokens of a language model, for those who follow the task. It is also a
        heartbeat. If many wait to be sent, the oldest are dropped: the output of the task is what the function returns.

        :raises Failure: if the server has rejected an earlier report.
        :raises TypeError, ValueError: if the part is not JSON.
        """
        self._report("emit", {"chunk": chunk})

    def _report(self, kind: str, content: Dict[str, Any]) -> None:
        if self._rejected is not None:
            text = f"a report was rejected: {self._rejected.detail}"
            raise Failure(text[:500], kind="permanent", code="invalid-report")
        # What is passed may change after the call.
        content = json.loads(json.dumps(typed.write(content), allow_nan=False))
        self._session._reports.add(
            f"{self.id['task']}.{self.id['number']}", kind, dict(content, by=self._session._by, attempt=self.id)
        )

    def use(self, *, tokens: int = 0, cost: int = 0) -> None:
        """Adds to what the attempt has used: tokens of language models, and a cost in millionths of a unit of currency.
        Budgets of runs count it, also if the attempt fails."""
        for name, amount in (("tokens", tokens), ("cost", cost)):
            if not isinstance(amount, int) or amount < 0:
                raise ValueError(f"{name}={amount!r}: expected a whole number that is not negative")
        with self._lock:
            for name, amount in (("tokens", tokens), ("cost", cost)):
                if amount:
                    self._usage[name] = self._usage.get(name, 0) + amount

    def _used(self) -> Dict[str, int]:
        with self._lock:
            return dict(self._usage)


def _seconds(instant: Any, ahead: float) -> Optional[float]:
    """An instant of the server's clock, in seconds of the monotonic clock here."""
    return None if instant is None else int(instant) / 1e9 + ahead


def span(text: Any) -> Optional[float]:
    """A duration of the server, in seconds: nanoseconds, or a text such as ``"1m 30s"``."""
    if text is None:
        return None
    if isinstance(text, (int, float)):
        return text / 1e9
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "day": 86400.0, "days": 86400.0}
    total = 0.0
    for part in str(text).split():
        digits = part.rstrip("abcdefghijklmnopqrstuvwxyz")
        total += float(digits) * units[part[len(digits):]]
    return total
