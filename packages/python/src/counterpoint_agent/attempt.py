"""An attempt at a task, in the hands of a task function."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Optional

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
    """

    def __init__(self, session: "_Session", given: Dict[str, Any], ahead: float) -> None:
        self._session = session
        self.id: Dict[str, Any] = given["attempt"]
        self.number: int = given["attempt"]["number"]
        self.kind: str = given["kind"]
        self.key: Optional[str] = given.get("key")
        self.payload: Any = given.get("payload")
        self._until = _seconds(given.get("until"), ahead)
        self._deadline = _seconds(given.get("deadline"), ahead)
        self._cancelled = threading.Event()
        self._requested_back = threading.Event()
        self._usage: Dict[str, int] = {}
        self._lock = threading.Lock()

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
