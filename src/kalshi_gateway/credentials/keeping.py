"""What is done to users' keys: stored, deleted, checked, sealed anew; each written down."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from kalshi_gateway import news
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Author, Entry, Outcome
from kalshi_gateway.errors import FieldError, GatewayError, Upstream
from kalshi_gateway.kalshi.signing import ApiKey, UnusableKey

from . import repository
from .checks import Doctor, Examined, Level
from .credential import Credentials, Kept, NoCredentials, bound_to
from .credential import shown as as_shown
from .ring import MasterKeyMissing, SealBroken
from .vault import Vault


class KeyUnusable(GatewayError):
    """This is no private key that the exchange would take, or its id is none."""

    status = 422
    code = "key_unusable"
    title = "Unusable key"


class KeyRefused(GatewayError):
    """The exchange does not accept this API key."""

    status = 502
    code = "upstream_key_rejected"
    title = "API key refused by the exchange"


@dataclass(frozen=True)
class Rotation:
    """What became of the rows when the ring was turned."""

    master_key_id: str
    resealed: int
    unreadable: tuple[str, ...]  # users whose rows do not open


@dataclass(frozen=True)
class Keeper:
    """The only one who changes users' keys."""

    vault: Vault
    doctor: Doctor

    async def put(
        self, user_id: str, api_key_id: str, private_key: str, author: Author
    ) -> Credentials:
        """Store a user's key unless the exchange refuses it; unasked, it is stored unchecked."""
        self.vault.refuse_own(user_id)
        key = await self._parsed(user_id, api_key_id, private_key, author)
        examined = await self.doctor.examine(self.vault.signer(key))
        if examined.refusal is not None:
            entry = Entry("credentials.put", author, user_id, key.key_id, "refused")
            await self._write_down(entry)
            raise _refused(examined)
        async with self.vault.database.begin() as conn:
            kept = await self._sealed(conn, user_id, key, private_key, examined)
            await repository.save(conn, kept)
            accepted = examined.verdict.accepted
            details = {"fingerprint": key.fingerprint, "accepted": accepted}
            await audit.record(
                conn, Entry("credentials.put", author, user_id, key.key_id, details=details)
            )
        await self._told(user_id)
        return as_shown(kept)

    async def remove(self, user_id: str, author: Author) -> None:
        """Forget a user's key, also one that does not open any more."""
        self.vault.refuse_own(user_id)
        async with self.vault.database.begin() as conn:
            kept = await repository.remove(conn, user_id)
            if kept is None:
                raise NoCredentials("No key of the exchange is kept for this user.")
            await audit.record(conn, Entry("credentials.delete", author, user_id, kept.api_key_id))
        await self._told(user_id)

    async def check(self, user_id: str, author: Author) -> Credentials:
        """Examine the key that would sign for this user now, and keep the verdict."""
        signer = await self.vault.open(user_id)
        verdict = (await self.doctor.examine(signer)).verdict
        checked_at = datetime.now(UTC)
        details = {"level": str(verdict.level), "accepted": verdict.accepted}
        entry = Entry("credentials.check", author, user_id, signer.key.key_id, details=details)
        async with self.vault.database.begin() as conn:
            await repository.note_verdict(
                conn, user_id, signer.key.fingerprint, verdict, checked_at
            )
            await audit.record(conn, entry)
        shown = await self.vault.show(user_id)
        return shown.model_copy(update={"verdict": verdict, "checked_at": checked_at})

    async def rotate(self, author: Author) -> Rotation:
        """Seal every row anew under the newest master key, a new one if the ring is in a file."""
        ring = self.vault.ring
        async with self.vault.database.begin() as conn:
            # Those who have read the ring and not yet stored what they sealed are waited for.
            await repository.lock_seals(conn)
            if ring.path is not None:
                await self._ready(conn)
                await asyncio.to_thread(ring.turn)
            rotation = await self._resealed(conn)
            outcome: Outcome = "failed" if rotation.unreadable else "done"
            details = {"resealed": rotation.resealed, "unreadable": len(rotation.unreadable)}
            await audit.record(
                conn,
                Entry("credentials.rotate", author, None, ring.newest, outcome, details),
            )
        return rotation

    async def _parsed(
        self, user_id: str, api_key_id: str, private_key: str, author: Author
    ) -> ApiKey:
        try:
            return await asyncio.to_thread(ApiKey.from_pem, api_key_id, private_key)
        except UnusableKey as error:
            reason = str(error)
        # What came is not written down: it may be a key in the wrong place.
        await self._write_down(Entry("credentials.put", author, user_id, outcome="refused"))
        raise KeyUnusable(reason, errors=(FieldError("/body", reason),))

    async def _sealed(
        self,
        conn: AsyncConnection,
        user_id: str,
        key: ApiKey,
        private_key: str,
        examined: Examined,
    ) -> Kept:
        """The key as a row; from here to the commit the ring is not turned."""
        await repository.share_seals(conn)
        await self._ready(conn)
        row_id, now = uuid4(), datetime.now(UTC)
        environment = self.vault.environment
        bound = bound_to(user_id, row_id, key.key_id, environment)
        return Kept(
            user_id=user_id,
            id=row_id,
            api_key_id=key.key_id,
            kind=key.kind,
            fingerprint=key.fingerprint,
            environment=environment,
            sealed=self.vault.ring.seal(private_key.encode(), bound),
            created_at=now,
            checked_at=None if examined.verdict.accepted is None else now,
            verdict=examined.verdict,
        )

    async def _ready(self, conn: AsyncConnection) -> None:
        """Have a master key to seal with; the first one is made while nothing is sealed yet."""
        ring = self.vault.ring
        if await asyncio.to_thread(ring.is_there):
            return
        if await repository.master_keys_used(conn):
            raise MasterKeyMissing(
                "The master key that seals the stored keys is not here, and no new one is made "
                "beside it; the operator has to put it back."
            )
        await asyncio.to_thread(ring.begin)

    async def _resealed(self, conn: AsyncConnection) -> Rotation:
        ring = self.vault.ring
        resealed, unreadable = 0, []
        for kept in await repository.claim_older(conn, ring.newest):
            try:
                secret = ring.open(kept.sealed, kept.bound_to)
            except (MasterKeyMissing, SealBroken):
                unreadable.append(kept.user_id)
                continue
            await repository.reseal(conn, kept.id, ring.seal(secret, kept.bound_to))
            resealed += 1
        return Rotation(ring.newest, resealed, tuple(unreadable))

    async def _told(self, user_id: str) -> None:
        """Let no process answer any more from what another key has told of the user."""
        self.vault.forget(user_id)
        await news.heard_by_all(self.vault.database)

    async def _write_down(self, entry: Entry) -> None:
        async with self.vault.database.begin() as conn:
            await audit.record(conn, entry)


def _refused(examined: Examined) -> KeyRefused:
    """What the doctor found, as a problem."""
    failures = [f for f in examined.verdict.findings if f.level is Level.FAILURE]
    told = "; ".join(f"the exchange {f.found} ({f.advice})" for f in failures)
    refusal = examined.refusal
    code = (refusal.code or "").partition(":")[0] if refusal else ""
    return KeyRefused(
        f"The key was not stored: {told}",
        upstream=Upstream(refusal.status if refusal else None, code or None),
    )
