"""What every request passes: its size is bounded, its time is measured, and a failure shows no stack trace."""

import json
import logging
import time
from typing import Any

from keyart.serving.metrics import Metrics

__all__ = ["Gate"]

log = logging.getLogger(__name__)

LARGEST = 4 << 20
"""Bytes of a request's body."""
PATHS = ("/v1/artwork", "/v1/page", "/v1/exposures", "/v1/reload", "/health", "/ready", "/metrics", "/openapi.json")


class _TooLarge(Exception):
    pass


class Gate:
    """ASGI middleware; it looks at no content, so nothing that it counts or logs names a member."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, taken = time.perf_counter(), 0, 0

        async def bounded() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST:
                raise _TooLarge
            return message

        async def counted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def unless_large(message: Any) -> None:
            if taken <= LARGEST:  # else the framework says 400: it takes our end of its reading for a fault of the body
                await counted(message)

        try:
            if _length(scope) > LARGEST:
                raise _TooLarge
            await self._app(scope, bounded, unless_large)
            if taken > LARGEST:
                raise _TooLarge
        except _TooLarge:
            await _refuse(counted, 413, f"the request has more than {LARGEST} bytes")
        except Exception:
            log.exception("a request to %s failed", scope["path"] if scope["path"] in PATHS else "another path")
            if not status:
                await _refuse(counted, 500, "the service failed; its log says how")
        finally:
            path = "/images" if scope["path"].startswith("/images/") else scope["path"]
            path = path if path in (*PATHS, "/images") else "?"
            self._metrics.passed(path, status, time.perf_counter() - began)


def _length(scope: Any) -> int:
    said = dict(scope["headers"]).get(b"content-length", b"0")
    return int(said) if said.isdigit() else 0


async def _refuse(send: Any, status: int, error: str) -> None:
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
