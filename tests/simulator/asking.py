"""What tests ask again and again: whole listings, and signed requests."""

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

PSS_32 = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


async def pages(
    client: httpx.AsyncClient, path: str, name: str, **params: Any
) -> list[list[dict[str, Any]]]:
    """All pages of a listing, by its cursors."""
    found: list[list[dict[str, Any]]] = []
    cursor = ""
    while not found or cursor:
        response = await client.get(path, params={**params, "cursor": cursor})
        assert response.status_code == 200, response.text
        page = response.json()
        found.append(page[name])
        cursor = page["cursor"]
    return found


async def walk(
    client: httpx.AsyncClient, path: str, name: str, **params: Any
) -> list[dict[str, Any]]:
    """All rows of a listing."""
    return [row for page in await pages(client, path, name, **params) for row in page]


class Signed(httpx.Auth):
    """Signs as the exchange's documentation says; each part can be made wrong."""

    def __init__(
        self,
        key_id: str,
        private_pem: str,
        now: Callable[[], datetime],
        *,
        salt: padding.PSS = PSS_32,
        late: float = 0,
        text: Callable[[str, str, str], str] = lambda ts, method, path: f"{ts}{method}{path}",
    ) -> None:
        self.key_id, self.now, self.salt, self.late, self.text = key_id, now, salt, late, text
        self.private = serialization.load_pem_private_key(private_pem.encode(), None)

    def auth_flow(self, request: httpx.Request) -> Any:
        timestamp = str(int((self.now().timestamp() - self.late) * 1000))
        path = request.url.raw_path.partition(b"?")[0].decode()
        text = self.text(timestamp, request.method, path).encode()
        request.headers["KALSHI-ACCESS-KEY"] = self.key_id
        request.headers["KALSHI-ACCESS-TIMESTAMP"] = timestamp
        request.headers["KALSHI-ACCESS-SIGNATURE"] = base64.b64encode(self._sign(text)).decode()
        yield request

    def _sign(self, text: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(text)
        assert isinstance(self.private, rsa.RSAPrivateKey)
        return self.private.sign(text, self.salt, hashes.SHA256())
