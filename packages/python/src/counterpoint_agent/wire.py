"""Requests to the server: connections that are kept, time limits, and errors with types."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit


class Unavailable(OSError):
    """The server did not answer: it is not running, or the connection was lost. Whether it received the request is unknown."""


class Problem(Exception):
    """The server rejected a request, which changed nothing.

    :ivar status: the HTTP status.
    :ivar code: the code of the rejection, for programs.
    :ivar detail: a text for people.
    :ivar retry_after: the delay in seconds after which a retry may succeed, if the server names one.
    """

    def __init__(self, status: int, code: str, detail: str, retry_after: Optional[float] = None) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


class AccessDenied(Problem):
    """The token is unknown, or its roles do not permit the request."""


class Wire:
    """Requests of one server and token, from any number of threads. Connections are kept for later requests."""

    def __init__(self, url: str, token: Optional[str], timeout: float = 15.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of a server, such as 'http://127.0.0.1:8080'")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._idle: List[http.client.HTTPConnection] = []
        self._open = True
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes the connections. Those of requests under way are closed when the requests end."""
        with self._lock:
            idle, self._idle, self._open = self._idle, [], False
        for connection in idle:
            connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        wait: float = 0,
        headers: Optional[dict] = None,
        repeat: bool = True,
    ) -> Any:
        """Sends a request and returns the answer as JSON. ``wait`` is added to the time limit. A request that is not to be
        repeated uses a connection of its own."""
        response, connection = self._send(method, path, body, self._timeout + wait, headers or {}, repeat)
        try:
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise Unavailable(f"the answer of {self._host} ended early: {error}") from error
        self._keep(connection, response)
        return _answer(response, data)

    def stream(self, path: str, headers: Optional[dict] = None, idle: float = 60.0) -> Iterator[bytes]:
        """The lines of an answer without an end. A stream that is silent for ``idle`` seconds has ended."""
        response, connection = self._send("GET", path, None, idle, headers or {}, True)
        try:
            if response.status >= 400:
                _answer(response, response.read())
            while True:
                line = response.readline()
                if not line:
                    return
                yield line.rstrip(b"\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"the stream of {self._host} ended: {error}") from error
        finally:
            connection.close()

    def _send(
        self, method: str, path: str, body: Any, timeout: float, headers: dict, repeat: bool
    ) -> Tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        all_headers = dict(headers)
        if self._token is not None:
            all_headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            all_headers["Content-Type"] = "application/json"
        # A connection that was kept may have been closed by the server meanwhile: the request is sent again.
        while True:
            with self._lock:
                kept = self._idle.pop() if self._idle and repeat else None
            connection = kept or self._connect(timeout)
            try:
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                connection.request(method, self._prefix + path, data, all_headers)
                return connection.getresponse(), connection
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept is None:
                    raise Unavailable(f"no answer of {self._host}: {error or type(error).__name__}") from error

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def _keep(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        with self._lock:
            keep = self._open and not response.will_close
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()


def _answer(response: http.client.HTTPResponse, data: bytes) -> Any:
    try:
        value = json.loads(data) if data else None
    except ValueError:
        value = None
    if response.status < 400:
        return value
    # A message of an agent is answered by messages, any other request by a problem.
    if isinstance(value, list) and value:
        rejected = value[0].get("body", {}).get("rejected", {})
        code, detail = rejected.get("code", "rejected"), rejected.get("reason", "")
    elif isinstance(value, dict):
        code, detail = value.get("code", "rejected"), value.get("detail", "")
        if value.get("faults"):
            detail = "; ".join([detail, *value["faults"]])
    else:
        code, detail = "rejected", data[:200].decode(errors="replace")
    after = response.headers.get("Retry-After", "")
    retry_after = float(after) if after.isdigit() else None
    kind = AccessDenied if response.status in (401, 403) else Problem
    raise kind(response.status, code, detail, retry_after)
