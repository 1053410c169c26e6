"""Run the service: open what the settings name, listen, and say where."""

import os
import socket
from pathlib import Path

import uvicorn

from keyart.errors import ConfigError, SetupError
from keyart.feedback.privacy import secret
from keyart.serving.collecting import Pauses, settle
from keyart.serving.exposure_log import ExposureLog
from keyart.serving.exposures import Exposures
from keyart.serving.live import Live
from keyart.serving.policy_bundle import PolicyBundle
from keyart.serving.service import Service, application
from keyart.settings import Settings

__all__ = ["serve", "service_of"]

FAREWELL = 30
"""Seconds that answers under way have when the process is asked to end."""


def service_of(settings: Settings) -> Service:
    """From the settings; InputError without a whole bundle, SetupError where exposures are to be logged and there is no
    key for members' ids."""
    wanted = settings.serve
    if not wanted.bundle:
        raise ConfigError("name what is to be served with --bundle: a bundle, or the folder that publish wrote to")

    def opened(folder: Path) -> PolicyBundle:
        return PolicyBundle.open(
            folder, verify=wanted.verify, remembered=wanted.remembered, most_alike=wanted.most_alike
        )

    live = Live(Path(wanted.bundle), opened)
    has_key = bool(os.environ.get(settings.privacy.key_variable, "").strip())
    exposures = Exposures(secret(settings.privacy)) if has_key or wanted.log_folder else None
    logged = ExposureLog(Path(wanted.log_folder), wanted.log_bytes, wanted.log_seconds) if wanted.log_folder else None
    return Service(live, exposures, logged, wanted.poll_seconds, settle=settle)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # Of a named protocol: asyncio sends small answers at once on such sockets only, others wait 40 ms for an ACK.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        raise SetupError(f"cannot listen on {host}:{port} ({error.strerror}); set serve.host or serve.port") from error
    return listening


def serve(settings: Settings) -> int:
    """Answer until the process is asked to end; SetupError where the address cannot be listened on."""
    service, wanted = service_of(settings), settings.serve
    listening = _listen(wanted.host, wanted.port)
    host, port = listening.getsockname()[:2]
    print(f"serving {service.live.bundle.manifest.name} on http://{host}:{port}", flush=True)
    config = uvicorn.Config(
        application(service),
        log_level="warning",
        access_log=False,  # a line a request would hold members' addresses
        server_header=False,
        timeout_graceful_shutdown=FAREWELL,
    )
    settle()
    with Pauses():
        uvicorn.Server(config).run(sockets=[listening])
    return 0
