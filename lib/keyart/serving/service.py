"""The HTTP service: artwork of titles and pages, images, exposures, health, metrics."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from keyart import __version__
from keyart.errors import InputError, KeyartError, LimitError, TableError
from keyart.serving import answering
from keyart.serving.exposure_log import ExposureLog
from keyart.serving.exposures import Exposures
from keyart.serving.gate import Gate
from keyart.serving.live import Live
from keyart.serving.messages import Answer, AskPage, AskTitle, Counted, PageAnswer, Problem, Seen
from keyart.serving.metrics import Metrics

__all__ = ["Service", "application"]

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], int] = {InputError: 400, LimitError: 403, TableError: 404}
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The question cannot be understood"},
    403: {"model": Problem, "description": "Nothing of the title may be shown there today"},
    404: {"model": Problem, "description": "The policy knows no such title"},
}
KINDS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))
PLAIN = {"X-Content-Type-Options": "nosniff"}
"""A browser takes an answer for what it says it is: names in it are text."""
FOREVER = "public, max-age=31536000, immutable"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Service:
    """What the application answers from. Without ``exposures`` it takes no raw ids; without ``logged`` no exposures."""

    live: Live
    exposures: Exposures | None = None
    logged: ExposureLog | None = None
    poll_seconds: float = 1.0
    now: Callable[[], datetime] = _now
    settle: Callable[[], object] = object
    """Called when another policy has taken its place."""
    metrics: Metrics = field(default_factory=Metrics)

    def reload(self) -> bool:
        """Follow the pointer, and count; InputError as ``Live.reload``."""
        try:
            switched = self.live.reload()
        except Exception:
            self.metrics.failures.inc()
            raise
        if switched:
            self.metrics.switches.inc()
            self.metrics.serves(self.live.bundle.manifest.name)
            log.info("serving %s", self.live.bundle.manifest.name)
            self.settle()
        return switched


def application(service: Service) -> FastAPI:
    """The ASGI application; it watches the pointer while it runs and closes the log when it ends."""
    app = FastAPI(title="keyart", version=__version__, lifespan=lambda _: _life(service), docs_url=None, redoc_url=None)
    app.add_middleware(Gate, metrics=service.metrics)  # type: ignore[arg-type]
    _answers(app, service)
    _operations(app, service)
    for kind, status in STATUS.items():
        app.add_exception_handler(kind, _refusing(status))
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _http_problem)
    return app


def _answers(app: FastAPI, service: Service) -> None:
    metrics = service.metrics

    @app.post("/v1/artwork", response_model=Answer, responses=REFUSALS, summary="The artwork of one title")
    async def artwork(asked: AskTitle) -> Response:
        found = answering.title(service.live.bundle, service.exposures, asked, service.now().date())
        metrics.answers.labels(found["level"]).inc()
        return _json(found)

    @app.post("/v1/page", response_model=PageAnswer, responses=REFUSALS, summary="The artworks of a page's titles")
    async def page(asked: AskPage) -> Response:
        found = answering.page(service.live.bundle, service.exposures, asked, service.now().date())
        for one in found["artworks"]:
            metrics.answers.labels(one["level"]).inc()
        return _json(found)

    @app.post("/v1/exposures", response_model=Counted, responses=REFUSALS, summary="Artworks that came into view")
    async def exposures(seen: Seen) -> Response:
        if service.logged is None or service.exposures is None:
            return _problem(404, "this service logs no exposures: start it with serve.log_folder and the members' key")
        moment = service.now()
        rows = [
            service.exposures.line(one.token, seen.user_id, moment, one.model_dump(exclude={"token"}))
            for one in seen.exposures
        ]
        service.logged.write(rows)
        metrics.exposures.inc(len(rows))
        return _json({"accepted": len(rows)})

    @app.get("/images/{name}", response_class=Response, responses={404: {"model": Problem}}, summary="A picture")
    async def image(name: str, request: Request) -> Response:
        headers = {"ETag": f'"{name}"', "Cache-Control": FOREVER} | PLAIN
        content = await asyncio.to_thread(service.live.bundle.image, name)
        if content is None:
            return _problem(404, "there is no such image in the policy that is served")
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        kind = next((kind for begin, kind in KINDS if content.startswith(begin)), "application/octet-stream")
        return Response(content, media_type=kind, headers=headers)


def _operations(app: FastAPI, service: Service) -> None:
    @app.get("/health", summary="The process answers")
    async def health() -> Response:
        return _json({"status": "ok"})

    @app.get("/ready", summary="A policy is served, and which")
    async def ready() -> Response:
        manifest = service.live.bundle.manifest
        said = {"policy_id": manifest.policy.policy_id, "bundle": manifest.name, "counts": dict(manifest.counts)}
        return _json({"status": "ready", **said})

    @app.get("/metrics", response_class=Response, summary="Counters, for Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/v1/reload", responses={400: {"model": Problem}}, summary="Follow the pointer now")
    async def reload() -> Response:
        switched = await asyncio.to_thread(service.reload)
        return _json({"switched": switched, "bundle": service.live.bundle.manifest.name})


@asynccontextmanager
async def _life(service: Service) -> AsyncIterator[None]:
    service.metrics.serves(service.live.bundle.manifest.name)
    watch = asyncio.create_task(_watch(service))
    try:
        yield
    finally:
        watch.cancel()
        if service.logged is not None:  # first, however the watch ended
            service.logged.close()
        with suppress(asyncio.CancelledError):
            await watch


async def _watch(service: Service) -> None:
    said = ""
    while True:
        await asyncio.sleep(service.poll_seconds)
        try:
            await asyncio.to_thread(service.reload)
            said = ""
        except KeyartError as error:
            if str(error) != said:  # once, not every second
                said = str(error)
                log.warning("serving goes on from %s: %s", service.live.bundle.manifest.name, said)
        except Exception as error:  # of whatever kind: a watch that ended would never switch again, and nobody know
            if repr(error) != said:
                said = repr(error)
                log.exception("serving goes on from %s", service.live.bundle.manifest.name)
        if service.logged is not None:
            try:
                await asyncio.to_thread(service.logged.rotate)
            except OSError as error:
                log.warning("the log of exposures cannot be closed: %s", error)


def _json(said: Any) -> Response:
    return Response(json.dumps(said, ensure_ascii=False).encode(), headers=PLAIN, media_type="application/json")


def _problem(status: int, error: str) -> Response:
    return Response(json.dumps({"error": error}).encode(), status, headers=PLAIN, media_type="application/json")


def _refusing(status: int) -> Callable[[Request, Exception], Any]:
    async def refuse(_: Request, error: Exception) -> Response:
        return _problem(status, str(error))

    return refuse


async def _not_understood(_: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    if first.get("type") == "json_invalid":
        return _problem(400, f"the body is no JSON (at character {first['loc'][-1]})")
    where = ".".join(str(part) for part in first.get("loc", ())[1:])
    return _problem(400, f"{where}: {first.get('msg', 'not understood')}".removeprefix(": "))


async def _http_problem(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _problem(status, str(getattr(error, "detail", "")))
