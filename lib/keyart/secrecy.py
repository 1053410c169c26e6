"""Secrets come from the environment or a secret scope, by reference, and stand in nothing that is written.

Settings hold ``{{env/NAME}}`` or ``{{secrets/SCOPE/KEY}}`` (as Databricks writes it); only where Spark or MLflow is
handed a value does it become one. What was handed out, and what the environment calls a secret, is taken out of every
line that is logged, printed or kept.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping

from keyart.errors import ConfigError, SetupError
from keyart.settings import Settings

__all__ = ["HIDDEN", "REDACTED", "hidden", "is_secret", "of_run", "refuse_literals", "resolved"]

HIDDEN = "[hidden]"
SENSITIVE = r"secret|passw(or)?d|token|access[._]?key|account[._]?key|private[._]?key|jaas"
NAMED = re.compile(SENSITIVE, re.IGNORECASE)
HARMLESS = re.compile(r"(file|location|path|provider|class|enabled|type|interval|identifiers?|ids?)$", re.IGNORECASE)
REFERENCE = re.compile(r"\{\{(env|secrets)/([^{}]+)\}\}")
REDACTED = {
    "spark.redaction.regex": f"(?i){SENSITIVE}",
    "spark.sql.redaction.options.regex": f"(?i)url|{SENSITIVE}",
}
"""Options by which Spark hides values in its UI, event logs and plans."""
IN_ADDRESS = re.compile(
    r"(?<=://)[^/\s@'\"]+(?=@)|(?<=[;?&])(?P<name>(x-amz-)?(token|signature|sig|credential|security-token))=[^;&\s'\"]+",
    re.IGNORECASE,
)
"""User and password of a URL, and what signs one."""
KEYS = ("KEYART_USER_KEY", "KEYART_SUPPRESSION_KEY")
SHORTEST = 6
"""Characters of a variable's value that is taken for a secret by the variable's name alone."""
_known: set[str] = set()
_of_run: set[str] = set()


def is_secret(name: str) -> bool:
    """Whether an option or variable of this name holds a secret.

    >>> [is_secret(name) for name in ("kafka.ssl.key.password", "kafka.key.deserializer", "ssl.truststore.location")]
    [True, False, False]
    """
    return bool(NAMED.search(name)) and not HARMLESS.search(name)


def of_run(*values: str) -> None:
    """Take these out of every line, and no more those of the run before: ids that a command names."""
    _of_run.clear()
    _of_run.update(values)


def resolved(text: str) -> str:
    """The text with every reference replaced by what it stands for; SetupError where that is not there."""
    return REFERENCE.sub(lambda found: _value(*found.groups()), text)


def hidden(text: str) -> str:
    """The text without secrets, as they are and as JSON writes them, and without those of addresses.

    >>> hidden("cannot reach https://ann:pw1@host/x?sig=abc&part=1")
    'cannot reach https://[hidden]@host/x?sig=[hidden]&part=1'
    """
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return IN_ADDRESS.sub(lambda found: f"{found['name']}={HIDDEN}" if found["name"] else HIDDEN, text)


def refuse_literals(settings: Settings) -> None:
    """ConfigError where a secret stands in the settings itself; the message names its place and not the secret."""
    for place, value in _sensitive(settings):
        if value and not REFERENCE.search(value):
            raise ConfigError(
                f"{place} holds a secret: write {{{{env/NAME}}}} instead, or {{{{secrets/SCOPE/KEY}}}} on Databricks, "
                "and keep it there"
            )


def _sensitive(settings: Settings) -> Iterator[tuple[str, str]]:
    options: Mapping[str, Mapping[str, str]] = {
        "session.options": settings.session.options,
        "stream.options": settings.stream.options,
    }
    for place, pairs in options.items():
        yield from ((f"{place}: {name}", value) for name, value in pairs.items() if is_secret(name))
    addresses = {
        "session.remote": settings.session.remote,
        "tracking.uri": settings.tracking.uri,
        "tracking.registry_uri": settings.tracking.registry_uri,
        "events.events": settings.events.events,
        "tables": settings.tables,
    }
    for place, address in addresses.items():
        yield from ((place, found[0]) for found in IN_ADDRESS.finditer(address) if ":" in found[0] or "=" in found[0])


def _value(kind: str, name: str) -> str:
    if kind == "env":
        value = os.environ.get(name, "")
        if not value:
            raise SetupError(f"the configuration asks for the environment variable {name}, which is empty: export it")
    else:
        value = _of_scope(name)
    _known.add(value)
    return value


def _of_scope(name: str) -> str:
    scope, _, key = name.partition("/")
    try:
        from databricks.sdk.runtime import dbutils

        return str(dbutils.secrets.get(scope, key))
    except Exception as error:  # the SDK's own, of a workspace that is not there or does not allow it
        raise SetupError(f"the secret {scope}/{key} cannot be read ({type(error).__name__}): see its scope") from error


def _secrets() -> set[str]:
    by_name = {
        value
        for name, value in os.environ.items()
        if name in KEYS or (is_secret(name) and len(value) >= SHORTEST and not value.isdigit())
    }
    found = {value for value in _known | _of_run | by_name if value.strip()}
    return found | {json.dumps(value, ensure_ascii=False)[1:-1] for value in found}
