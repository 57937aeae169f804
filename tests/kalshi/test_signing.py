"""Keys as people paste them, and signatures the exchange can verify."""

import base64
import copy
import pickle
import textwrap
import traceback
from collections.abc import Callable

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshi_gateway.kalshi.clock import ExchangeClock
from kalshi_gateway.kalshi.signing import ApiKey, ForeignHost, Signer, UnusableKey

BASE = "https://external-api.kalshi.com/trade-api/v2"
KEY_ID = "a952bcbe-ec3b-4b5b-b8f9-11dae589608c"

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # to be refused
ED_KEY = ed25519.Ed25519PrivateKey.generate()

PKCS1 = serialization.PrivateFormat.TraditionalOpenSSL
PKCS8 = serialization.PrivateFormat.PKCS8
OPENSSH = serialization.PrivateFormat.OpenSSH

Private = (
    rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | ec.EllipticCurvePrivateKey
)


def pem(
    key: Private,
    form: serialization.PrivateFormat = PKCS8,
    secret: serialization.KeySerializationEncryption | None = None,
) -> str:
    protection = secret or serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, protection).decode()


def public_pem(key: Private) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def body_of(text: str) -> str:
    return "".join(line for line in text.splitlines() if "-----" not in line)


def verify(key: Private, signature: bytes, message: bytes) -> None:
    """As docs.kalshi.com/getting_started/api_keys says the exchange does; raises if wrong."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        salted = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        public.verify(signature, message, salted, hashes.SHA256())
    else:
        assert isinstance(public, ed25519.Ed25519PublicKey)
        public.verify(signature, message)


@pytest.mark.parametrize(
    ("key", "form", "kind"),
    [(RSA_KEY, PKCS1, "rsa"), (RSA_KEY, PKCS8, "rsa"), (ED_KEY, PKCS8, "ed25519")],
)
def test_each_kind_of_key_is_read(
    key: Private, form: serialization.PrivateFormat, kind: str
) -> None:
    """PKCS#1 and PKCS#8, RSA and Ed25519 are told apart by what they hold."""
    api_key = ApiKey.from_pem(KEY_ID, pem(key, form))

    assert api_key.kind == kind
    assert api_key.repairs == ()
    verify(key, api_key.sign(b"text"), b"text")


def test_the_label_does_not_decide() -> None:
    """An Ed25519 key under an RSA label is still read."""
    mislabelled = pem(ED_KEY).replace("PRIVATE KEY", "RSA PRIVATE KEY")

    assert ApiKey.from_pem(KEY_ID, mislabelled).kind == "ed25519"


DAMAGES: dict[str, Callable[[str], str]] = {
    "Windows line breaks": lambda text: text.replace("\n", "\r\n"),
    "escaped line breaks": lambda text: text.replace("\n", "\\n"),
    "quotes": lambda text: f'"{text}"',
    "missing last line break": lambda text: text.rstrip("\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "indentation": lambda text: textwrap.indent(text, "    "),
    "one line": lambda text: text.replace("\n", " "),
    "text around the key": lambda text: f"Your key:\n{text}Keep it safe.\n",
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize(("key", "form"), [(RSA_KEY, PKCS1), (RSA_KEY, PKCS8), (ED_KEY, PKCS8)])
def test_damage_by_pasting_is_repaired_and_named(
    name: str, key: Private, form: serialization.PrivateFormat
) -> None:
    """Whatever clipboards, .env files and editors do to a PEM, it is read, and we say what."""
    damaged = DAMAGES[name](pem(key, form))

    api_key = ApiKey.from_pem(KEY_ID, damaged)

    # An Ed25519 key's body is one line anyway.
    assert name in api_key.repairs or (name == "one line" and key is ED_KEY)
    verify(key, api_key.sign(b"text"), b"text")


@given(names=st.lists(st.sampled_from(sorted(DAMAGES)), max_size=4))
@settings(deadline=None, max_examples=40)
def test_damages_may_come_together(names: list[str]) -> None:
    """Several damages at once are repaired like one."""
    damaged = pem(ED_KEY)
    for name in names:
        damaged = DAMAGES[name](damaged)

    api_key = ApiKey.from_pem(KEY_ID, damaged)

    verify(ED_KEY, api_key.sign(b"text"), b"text")


def test_bytes_of_an_editor_are_read() -> None:
    """A file saved as UTF-16 or with a byte order mark is a key file all the same."""
    for encoding in ("utf-16", "utf-8-sig", "utf-8"):
        assert ApiKey.from_pem(KEY_ID, pem(ED_KEY).encode(encoding)).kind == "ed25519"


REFUSED = {
    "public key": public_pem(RSA_KEY),
    "public key under a private label": public_pem(RSA_KEY).replace("PUBLIC", "PRIVATE"),
    "encrypted PKCS#8": pem(RSA_KEY, PKCS8, serialization.BestAvailableEncryption(b"secret")),
    "encrypted PKCS#8, relabelled": pem(
        RSA_KEY, PKCS8, serialization.BestAvailableEncryption(b"secret")
    ).replace("ENCRYPTED ", ""),
    "encrypted PKCS#1": pem(RSA_KEY, PKCS1, serialization.BestAvailableEncryption(b"secret")),
    "another curve": pem(ec.generate_private_key(ec.SECP256R1())),
    "Ed448": pem(ed448.Ed448PrivateKey.generate()),
    "a small RSA key": pem(SMALL_RSA_KEY),
    "OpenSSH": pem(ED_KEY, OPENSSH),
    "half a key": pem(RSA_KEY)[:600],
    "a damaged body": pem(RSA_KEY).replace("M", "*", 1),
    "another body": pem(RSA_KEY).replace(body_of(pem(RSA_KEY))[60:64], "AAAA", 1),
    "different ends": pem(RSA_KEY).replace("END PRIVATE", "END RSA PRIVATE"),
    "no armour": body_of(pem(RSA_KEY)),
    "a certificate": pem(RSA_KEY).replace("PRIVATE KEY", "CERTIFICATE"),
    "nothing": "",
}


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_keys_are_refused_without_quoting_them(name: str) -> None:
    """What is no usable private key is refused, and no line of it shows up anywhere."""
    text = REFUSED[name]

    with pytest.raises(UnusableKey) as refusal:
        ApiKey.from_pem(KEY_ID, text)

    told = "".join(traceback.format_exception(refusal.value))
    assert refusal.value.__context__ is None
    pieces = [body_of(text)[at : at + 16] for at in range(0, len(body_of(text)) - 16, 16)]
    assert not [piece for piece in pieces if piece in told]


def test_an_unsound_key_is_found_once() -> None:
    """A key whose numbers do not fit is refused when it is first read."""
    numbers = RSA_KEY.private_numbers()
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    unsound = rsa.RSAPrivateNumbers(
        numbers.p,
        numbers.q,
        other.d,
        numbers.dmp1,
        numbers.dmq1,
        numbers.iqmp,
        numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)

    with pytest.raises(UnusableKey):
        ApiKey.from_pem(KEY_ID, pem(unsound))


def test_a_checked_key_is_opened_as_it_is() -> None:
    """A key accepted before signs the same without another check."""
    opened = ApiKey.from_checked_pem(KEY_ID, pem(RSA_KEY))

    verify(RSA_KEY, opened.sign(b"text"), b"text")
    assert opened.fingerprint == ApiKey.from_pem(KEY_ID, pem(RSA_KEY)).fingerprint


@pytest.mark.parametrize("key_id", ["", "  ", "two words", "line\nbreak", pem(ED_KEY), "é"])
def test_a_key_id_is_one_word(key_id: str) -> None:
    """What could break the header, or is the key itself, is no key id and is not quoted."""
    with pytest.raises(UnusableKey) as refusal:
        ApiKey.from_pem(key_id, pem(ED_KEY))

    assert body_of(pem(ED_KEY)) not in str(refusal.value)


def test_a_pasted_key_id_is_trimmed() -> None:
    """Blanks and quotes around a key id are not part of it."""
    assert ApiKey.from_pem(f' "{KEY_ID}"\n', pem(ED_KEY)).key_id == KEY_ID


def test_nothing_shows_the_key() -> None:
    """Neither repr, nor str, nor a copy gives the private key away."""
    api_key = ApiKey.from_pem(KEY_ID, pem(ED_KEY))

    assert repr(api_key) == f"ApiKey(key_id='{KEY_ID}')"
    assert KEY_ID in repr(Signer(api_key, BASE))
    with pytest.raises(TypeError):
        pickle.dumps(api_key)
    with pytest.raises(TypeError):
        copy.deepcopy(api_key)


@given(
    segments=st.lists(
        st.text(alphabet="ABCXYZ0189.-", min_size=1).filter(lambda s: s.strip(".")), max_size=4
    ),
    query=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    method=st.sampled_from(["GET", "post", "DELETE"]),
    key=st.sampled_from([RSA_KEY, ED_KEY]),
)
@settings(deadline=None, max_examples=60)
def test_the_signature_verifies(
    segments: list[str], query: dict[str, str], method: str, key: Private
) -> None:
    """Timestamp, method and path with its prefix and without its query are what is signed."""
    api_key = ApiKey.from_checked_pem(KEY_ID, pem(key))
    signer = Signer(api_key, BASE, clock=ExchangeClock(lambda: 1.5))
    path = "/".join(["/trade-api/v2", *segments])
    request = httpx.Request(method, f"https://external-api.kalshi.com{path}", params=query)

    signed = next(signer.auth_flow(request))

    assert signed.headers["KALSHI-ACCESS-KEY"] == KEY_ID
    assert signed.headers["KALSHI-ACCESS-TIMESTAMP"] == "1500"
    signature = base64.b64decode(signed.headers["KALSHI-ACCESS-SIGNATURE"], validate=True)
    verify(key, signature, f"1500{method.upper()}{path}".encode())


@pytest.mark.parametrize(
    "url",
    [
        "https://external-api.kalshi.com.evil.example/trade-api/v2/portfolio/balance",
        "https://kalshi.com/trade-api/v2/portfolio/balance",
        "https://external-api.kalshi.com:8443/trade-api/v2/portfolio/balance",
        "https://external-api.kalshi.com@evil.example/trade-api/v2/portfolio/balance",
    ],
)
def test_strangers_get_no_signature(url: str) -> None:
    """Only the hosts a signer was made for are signed for."""
    signer = Signer(ApiKey.from_pem(KEY_ID, pem(ED_KEY)), BASE)

    with pytest.raises(ForeignHost):
        signer.headers("GET", httpx.URL(url))


def test_the_feed_is_signed_for_too() -> None:
    """A signer made for the socket's address as well signs its handshake."""
    feed = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
    signer = Signer(ApiKey.from_pem(KEY_ID, pem(ED_KEY)), BASE, feed)

    headers = signer.headers("GET", httpx.URL(feed))

    message = f"{headers['KALSHI-ACCESS-TIMESTAMP']}GET/trade-api/ws/v2".encode()
    verify(ED_KEY, base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"]), message)
