"""From what was served to a line of the log: a token travels to the page and back, and becomes an impression.

An impression is an exposure seen in the viewport. The service does not see the viewport, so what it answers with is no
impression yet: each answer carries a token, signed, with everything that the log needs, and whoever sees the artwork
come into view sends it back with the member's id. A token names its event, so that one sent twice counts once.
"""

import base64
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any

from keyart.errors import InputError
from keyart.feedback.privacy import user_keys
from keyart.policy.resolve import Resolution

__all__ = ["CONTEXT", "Exposures"]

CONTEXT = (
    "session_id", "device", "local_hour", "local_weekday", "surface", "row", "position", "already_started", "ranker_id",
    "ranker_score",
)  # fmt: skip
"""Columns of the log that the page knows and the service does not."""
PURPOSE = b"keyart exposure token 1"
LATEST = timedelta(days=2)
"""After the day it was served on, an exposure is taken for so long."""


@dataclass(frozen=True)
class Exposures:
    """Makes tokens and reads them, under a key derived from the one that hashes members' ids."""

    secret: bytes

    def user_key(self, user_id: str) -> str:
        """The member's key, as ingestion makes it."""
        return user_keys(self.secret, [user_id])[0]

    def token(
        self, user_key: str, title_id: str, region: str, epoch: date, kids: bool | None, served: Resolution
    ) -> str:
        """What an answer carries; it holds the member's key and no id."""
        said = {
            "event_id": uuid.uuid4().hex,
            "user_key": user_key,
            "title_id": title_id,
            "artwork_id": served.artwork_id,
            "region": region,
            "kids": kids,
            "epoch": epoch.isoformat(),
            "policy_id": served.policy_id,
            "segment": served.segment or None,
            "propensity": served.propensity,
            "candidate_set": served.candidate_set,
            "candidate_propensities": served.probabilities,
        }
        body = base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode())
        return f"{body.decode()}.{self._signature(body)}"

    def line(self, token: str, user_id: str, seen: datetime, context: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the log that ingest-events reads, from a token and the page's ``context``.

        The log holds the member's id as it was given, for ingestion hashes it and by it keeps out who was erased. A
        decision belongs to the day it was drawn on: what is seen later counts on that day's last millisecond.
        InputError where the token is not ours, not this member's, or too old.
        """
        body, _, signature = token.partition(".")
        # A token has no longest length of its own, for what was made has to be taken: a request's body has one.
        if not body.isascii() or not hmac.compare_digest(signature.encode(), self._signature(body.encode()).encode()):
            raise InputError("the exposure's token is not one that this service gave, or was changed")
        said = json.loads(base64.urlsafe_b64decode(body))
        if said.pop("user_key") != self.user_key(user_id):
            raise InputError("the exposure's token was given for another member")
        epoch = date.fromisoformat(said.pop("epoch"))
        end = datetime.combine(epoch + timedelta(days=1), time(), UTC) - timedelta(milliseconds=1)
        if seen > end + LATEST:
            raise InputError(f"the exposure was served on {epoch} and comes too late to be counted")
        known = {name: value for name, value in context.items() if name in CONTEXT and value is not None}
        ts = min(seen, end).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row = {"event_type": "impression", "user_id": user_id, "ts": ts, **said, **known}
        return {name: value for name, value in row.items() if value is not None}

    def _signature(self, body: bytes) -> str:
        return hmac.digest(self._key, body, "sha256").hex()[:32]

    @cached_property
    def _key(self) -> bytes:
        return hmac.digest(self.secret, PURPOSE, "sha256")
