"""The doctor's verdict on a key: what was looked at, what was found, what to do about it."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


class Finding(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(frozen=True)

    what: Annotated[str, Field(examples=["scopes"])]
    level: Level
    found: str
    advice: Annotated[str | None, Field(description="What to do; null: nothing.")] = None


class Verdict(BaseModel):
    """All that was found out about a key."""

    model_config = ConfigDict(frozen=True)

    level: Annotated[Level, Field(description="The worst of the findings.")]
    checked: Annotated[
        bool, Field(description="The exchange was asked and answered; false: it is unknown.")
    ]
    findings: list[Finding]
