"""A client that asks much and costs little: raw sockets kept alive, requests encoded before the clock starts.

Where server and client share a machine, what the client needs is taken from the server; so it parses no more of an
answer than its status and its end.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import numpy as np

__all__ = ["ask", "encoded"]

END = b"\r\n\r\n"
LENGTH = b"content-length: "


def encoded(path: str, body: bytes) -> bytes:
    """A request whose connection stays open."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Caller(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, answered: "Callable[[_Caller, float | None, bool], None]") -> None:
        self._answered, self._read, self._wanted, self.since = answered, b"", 0, 0.0

    def connection_made(self, transport) -> None:
        """As asyncio says."""
        self._transport = transport

    def ask(self, request: bytes, since: float) -> None:
        """Send; ``since`` is when the time to answer began."""
        self.since = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._read += data
        if not self._wanted:
            end = self._read.find(END)
            if end < 0:
                return
            at = self._read.index(LENGTH) + len(LENGTH)
            self._wanted = end + len(END) + int(self._read[at : self._read.index(b"\r", at)])
        if len(self._read) >= self._wanted:
            fine, self._read, self._wanted = self._read.startswith(b"HTTP/1.1 200 "), b"", 0
            self._answered(self, time.perf_counter() - self.since, fine)

    def connection_lost(self, error) -> None:
        """As asyncio says."""
        self._answered(self, None, False)


class _Load:
    """Callers, and what came of their requests."""

    def __init__(self, requests: Iterator[bytes], seconds: float, even: bool) -> None:
        self.requests, self.even = requests, even
        self.took: list[float] = []
        self.failed = 0
        self.idle: deque[_Caller] = deque()
        self.due: deque[float] = deque()
        self.under_way, self.waited = 0, 0.0
        self.began = time.perf_counter()
        self.until = self.began + seconds
        self.over, self.done = False, asyncio.Event()

    def answered(self, caller: _Caller, took: float | None, fine: bool) -> None:
        self.failed += not fine
        if took is None:  # a connection that the server closed
            self.done.set()
            return
        self.under_way -= 1
        self.took.append(took)
        now = time.perf_counter()
        if self.due:
            self.send(caller, self.due.popleft())
        elif not self.even and now < self.until:
            self.send(caller, now)
        else:
            self.idle.append(caller)
            self.over = self.over or now >= self.until
            self.ended()

    def ended(self) -> None:
        """See whether the last answer has come."""
        if self.over and not self.under_way:
            self.done.set()

    def send(self, caller: _Caller, since: float) -> None:
        self.under_way += 1
        caller.ask(next(self.requests), since)

    async def evenly(self, rate: float) -> None:
        """Requests at moments ``rate`` a second, whether or not others are still under way; one that finds no idle
        caller waits, and its time counts from its moment."""
        number = 0
        while (due := self.began + number / rate) < self.until:
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
                self.waited = max(self.waited, time.perf_counter() - due)
            if self.idle:
                self.send(self.idle.popleft(), due)
            else:
                self.due.append(due)
            number += 1


async def ask(
    host: str, port: int, requests: Sequence[bytes], callers: int, rate: float | None, seconds: float
) -> dict[str, float]:
    """Ask for ``seconds``: as fast as the callers can, or at moments ``rate`` a second. Times in milliseconds."""
    loop, load = asyncio.get_running_loop(), _Load(cycle(requests), seconds, rate is not None)
    made = [(await loop.create_connection(lambda: _Caller(load.answered), host, port)) for _ in range(callers)]
    load.began = time.perf_counter()
    load.until = load.began + seconds
    if rate is None:
        for _, caller in made:
            load.send(caller, time.perf_counter())
    else:
        load.idle.extend(caller for _, caller in made)
        await load.evenly(rate)
        load.over = True
        load.ended()
    await asyncio.wait_for(load.done.wait(), seconds + 60)
    spent, failed = time.perf_counter() - load.began, load.failed
    for transport, _ in made:
        transport.abort()
    took = np.array(load.took)
    return {
        "requests": len(took),
        "failed": failed,
        "requests_a_second": round(len(took) / spent, 1),
        **{
            f"p{name}_ms": round(1e3 * float(np.quantile(took, q)), 2)
            for name, q in (("50", 0.5), ("99", 0.99), ("999", 0.999))
        },
        "most_ms": round(1e3 * float(took.max()), 2),
        "client_late_ms": round(1e3 * load.waited, 2),
    }
