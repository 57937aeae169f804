"""The doctor's verdict on a key: what was looked at, what was found, what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import httpx
from pydantic import BaseModel, ConfigDict, Field

from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.budget import Lane
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.errors import KalshiError, KeyRejected
from kalshi_gateway.kalshi.portfolio_wire import ApiKey as ListedKey
from kalshi_gateway.kalshi.portfolio_wire import ApiKeys, moment_of
from kalshi_gateway.kalshi.signing import ApiKey, Signer

#: Signatures are corrected by what the exchange says the time is; more than the first is worth a
#: look at the clock, more than the second it would refuse (measured 2026-10).
SKEW_WORTH_A_LOOK = timedelta(seconds=2)
SKEW_REFUSED = timedelta(seconds=10)

#: Renewing takes a human with a browser.
ATTESTATION_ENDS_SOON = timedelta(days=14)

#: Somebody waits for the verdict.
PATIENCE = timedelta(seconds=8)


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
    accepted: Annotated[
        bool | None, Field(description="By the exchange; null: it could not be asked.")
    ]
    findings: list[Finding]


@dataclass(frozen=True)
class Examined:
    """A verdict, and the exchange's own words if it refused the key."""

    verdict: Verdict
    refusal: KeyRejected | None = None


@dataclass(frozen=True)
class Doctor:
    """Looks at keys over the service's own line: its connections, breakers and clock."""

    http: httpx.AsyncClient
    kalshi: Kalshi

    async def examine(self, signer: Signer) -> Examined:
        """Ask the exchange about the key with which `signer` signs."""
        line = Kalshi(
            self.kalshi.base_url,
            self.http,
            signer=signer,
            drift=self.kalshi.drift,
            breakers=self.kalshi.breakers,
            observe=self.kalshi.observe,
        )
        return await examine(line, signer.key)


async def examine(kalshi: Kalshi, key: ApiKey) -> Examined:
    """Ask the exchange, over a line signed with this key, what there is to know about it."""
    findings = [readable(key)]
    refusal: KeyRejected | None = None
    accepted: bool | None = True
    try:
        limits = (await kalshi.account_limits(lane=Lane.WAITING, deadline=PATIENCE)).value
        listed = (await kalshi.api_keys(lane=Lane.WAITING, deadline=PATIENCE)).value
        findings += [known(), tier(limits), *rights(key.key_id, listed), attestation(listed)]
    except KeyRejected as error:
        findings.append(refused(error))
        if error.status == 401 and error.code != "header_timestamp_expired":
            refusal, accepted = error, False
        elif error.status == 401:
            accepted = None
    except KalshiError as error:
        findings.append(unasked(error))
        accepted = None
    findings += clock(kalshi.skew)
    return Examined(Verdict(level=worst(findings), accepted=accepted, findings=findings), refusal)


def worst(findings: list[Finding]) -> Level:
    """The level of the worst finding."""
    return max((finding.level for finding in findings), key=list(Level).index, default=Level.OK)


def readable(key: ApiKey) -> Finding:
    """What the private key is, and what had to be repaired to read it."""
    repaired = f"; repaired: {', '.join(key.repairs)}" if key.repairs else ""
    return Finding(what="private key", level=Level.OK, found=f"{key.kind}{repaired}")


def known() -> Finding:
    """The exchange took the signature."""
    return Finding(what="exchange", level=Level.OK, found="knows the key and takes its signature")


def refused(error: KeyRejected) -> Finding:
    """The exchange did not take it: what its answer means (the details were seen 2026-06)."""
    found, advice = {
        "NOT_FOUND": (
            "knows no key of this id",
            "was it deleted, or is it of the other environment (production or demo)?",
        ),
        "INCORRECT_API_KEY_SIGNATURE": (
            "knows the id, but the private key is not the one that belongs to it",
            "give id and private key that were made together",
        ),
    }.get(
        error.details or "", (f"refuses the key: {error.status}", "make a new key at the exchange")
    )
    if error.code == "header_timestamp_expired":
        found = "refuses the time of our signature"
        advice = "let NTP set the clock of the gateway's machine, then check again"
    elif error.status == 403:
        found = "knows the key, and does not let it ask about itself"
        advice = "give the key the scope read"
    return Finding(what="exchange", level=Level.FAILURE, found=found, advice=advice)


def unasked(error: KalshiError) -> Finding:
    """The exchange could not be asked, which says nothing about the key."""
    return Finding(
        what="exchange",
        level=Level.WARNING,
        found=f"could not be asked ({type(error).__name__}): the key is unchecked",
        advice="check again later",
    )


def clock(skew: timedelta | None) -> list[Finding]:
    """How far the clocks are apart; nothing before the exchange has answered."""
    if skew is None:
        return []
    found = f"{skew.total_seconds():+.1f} s from the exchange's"
    if abs(skew) <= SKEW_WORTH_A_LOOK:
        return [Finding(what="clock", level=Level.OK, found=found)]
    level = Level.FAILURE if abs(skew) > SKEW_REFUSED else Level.WARNING
    advice = "let NTP set the clock of the gateway's machine"
    return [Finding(what="clock", level=level, found=found, advice=advice)]


def tier(limits: wire.AccountLimits) -> Finding:
    """What the account may ask per second."""
    sizes = [
        f"{name} {bucket.refill_rate}/s"
        for name, bucket in (("read", limits.read), ("write", limits.write))
        if bucket is not None and bucket.refill_rate is not None
    ]
    found = ": ".join(part for part in (limits.usage_tier or "unknown", ", ".join(sizes)) if part)
    return Finding(what="tier", level=Level.OK, found=found)


def rights(key_id: str, listed: ApiKeys) -> Iterator[Finding]:
    """What the key may do, and where, as the exchange lists it."""
    mine = next((key for key in listed.api_keys if key.api_key_id == key_id), None)
    if mine is None or mine.scopes is None:
        yield Finding(
            what="scopes",
            level=Level.WARNING,
            found="the exchange does not say what this key may do",
            advice="look at the key's scopes at the exchange",
        )
    else:
        yield scopes(frozenset(mine.scopes))
        yield transfers(frozenset(mine.scopes))
    if mine is not None:
        yield from bounds(mine)


def scopes(granted: frozenset[str]) -> Finding:
    """Whether the key may do what a gateway does (docs.kalshi.com, ApiKeyScope)."""
    found = ", ".join(sorted(granted)) or "none"
    if "read" not in granted:
        advice = "make a key with read, and write::trade for orders"
        return Finding(what="scopes", level=Level.FAILURE, found=found, advice=advice)
    if not granted & {"write", "write::trade"}:
        found += ": reads only, orders will be refused"
    return Finding(what="scopes", level=Level.OK, found=found)


def transfers(granted: frozenset[str]) -> Finding:
    """Whether the key may move money, which a gateway seldom needs."""
    if not granted & {"write", "write::transfer"}:
        return Finding(what="transfers", level=Level.OK, found="the key moves no money")
    return Finding(
        what="transfers",
        level=Level.WARNING,
        found="the key may move money between shards and subaccounts",
        advice="unless you need that, make a key with read and write::trade only",
    )


def bounds(key: ListedKey) -> Iterator[Finding]:
    """What the key is locked to (docs.kalshi.com/getting_started/subaccounts)."""
    if key.subaccount is not None:
        yield Finding(
            what="subaccount",
            level=Level.WARNING,
            found=f"locked to subaccount {key.subaccount}",
            advice="only that one is seen and traded on; its balance is not told by shard",
        )
    else:
        yield Finding(what="subaccount", level=Level.OK, found="not locked to one")
    if key.fcm_subtrader_id is not None:
        yield Finding(
            what="subtrader",
            level=Level.FAILURE,
            found="bound to an FCM subtrader: the exchange refuses it on this API",
            advice="make a key that is bound to none",
        )


def attestation(listed: ApiKeys) -> Finding:
    """Until when the exchange takes the owner's word for where he is (changelog, 2026-08-16)."""
    ends_at = moment_of(listed.api_key_region_expiration_ts)
    if ends_at is None:
        return Finding(what="attestation", level=Level.OK, found="of location: never given")
    left = ends_at - datetime.now(UTC)
    day = f"{ends_at:%Y-%m-%d}"
    if left <= timedelta(0):
        return Finding(
            what="attestation",
            level=Level.FAILURE,
            found=f"of location: lapsed on {day}; sports, elections and entertainment are closed",
            advice="renew it at the exchange",
        )
    level = Level.WARNING if left < ATTESTATION_ENDS_SOON else Level.OK
    advice = "renew it at the exchange before that day" if level is Level.WARNING else None
    return Finding(
        what="attestation", level=level, found=f"of location: until {day}", advice=advice
    )
