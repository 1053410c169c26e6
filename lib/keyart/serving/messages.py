"""What the service is asked and what it answers, as OpenAPI describes it."""

from collections import Counter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from keyart.feedback.privacy import KEY_LENGTH

__all__ = ["Answer", "AskPage", "AskTitle", "Counted", "Exposure", "PageAnswer", "Problem", "Refusal", "Seen"]

MOST_TITLES = 200
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Word = Annotated[str, StringConstraints(max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Asked(_Strict):
    user_id: Name | None = Field(None, description="The member as the logs name them; give this or user_key")
    user_key: str | None = Field(
        None, pattern=rf"^[0-9a-f]{{{KEY_LENGTH}}}$", description="The keyed hash of the member's id"
    )
    region: Region = Field("unknown", description="A region; one that no level knows gets its parent's or the world's")
    context: Word = Field(
        "*", min_length=1, description="Device and part of the day, such as tv|evening, tv|* or *|evening"
    )
    surface: Word = Field("", description="Where it will be shown: on continue_watching a draw does not change")
    kids: bool | None = Field(None, description="A kids' profile: not personalised")
    opted_out: bool = Field(False, description="The member allows no personalisation: none, and no exposure token")

    @model_validator(mode="after")
    def _one_member(self):
        if (self.user_id is None) == (self.user_key is None):
            raise ValueError("give user_id or user_key, and not both")
        return self


class AskTitle(_Asked):
    """One title for one member."""

    title_id: Name


class AskPage(_Asked):
    """Titles in reading order for one member; neighbours' artworks are kept from looking alike."""

    title_ids: list[Name] = Field(min_length=1, max_length=MOST_TITLES, description="Each once")
    columns: int | None = Field(None, ge=1, le=MOST_TITLES, description="Titles to a row; null: one row")

    @field_validator("title_ids")
    @classmethod
    def _each_once(cls, title_ids: list[str]) -> list[str]:
        if doubled := [one for one, times in Counter(title_ids).items() if times > 1]:
            raise ValueError(f"{doubled[0]!r} is named twice: a title has one artwork on a page")
        return title_ids


class Answer(BaseModel):
    """What the member sees, and all that a log of it must hold."""

    title_id: str
    artwork_id: str
    image: str | None = Field(description="Path of the picture on this service, where the bundle has it")
    level: str = Field(description="Where the answer came from: user, segment, or the most specific level that knows")
    propensity: float = Field(description="Probability of this artwork; on a page, given the places before it")
    candidate_set: list[str]
    candidate_propensities: list[float] = Field(description="In the order of candidate_set")
    reason: str = Field(description="What decided, for people who look into it")
    sentence: str = Field(description="What the member may be told")
    policy_id: str
    segment: str | None = Field(description="The policy's, that the member is in; null for none")
    bundle: str
    epoch: str = Field(description="UTC day of the decision")
    exposure: str | None = Field(description="Token for POST /v1/exposures; null where no exposure may be logged")


class Refusal(BaseModel):
    """A title of a page for which nothing may be shown, and why."""

    title_id: str
    error: str


class PageAnswer(BaseModel):
    """A page of one policy."""

    policy_id: str
    bundle: str
    epoch: str
    artworks: list[Answer] = Field(description="In the order of title_ids, without those refused")
    refused: list[Refusal]


class Exposure(_Strict):
    """An artwork that came into view."""

    token: str
    session_id: Word | None = None
    device: Word | None = None
    local_hour: int | None = Field(None, ge=0, le=23)
    local_weekday: int | None = Field(None, ge=0, le=6)
    surface: Word | None = None
    row: int | None = Field(None, ge=0, le=1_000_000)
    position: int | None = Field(None, ge=0, le=1_000_000)
    already_started: bool | None = None
    ranker_id: Word | None = None
    ranker_score: float | None = Field(None, allow_inf_nan=False)


class Seen(_Strict):
    """Exposures of one member; all are logged or none."""

    user_id: Name
    exposures: list[Exposure] = Field(min_length=1, max_length=MOST_TITLES)


class Counted(BaseModel):
    """How many exposures were logged."""

    accepted: int


class Problem(BaseModel):
    """Why a request was refused, in one line."""

    error: str
