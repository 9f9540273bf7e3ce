"""Who sent a request: API key, timestamp window and signature (HMAC-SHA256, Ed25519 or RSA).

The signature is checked over the bytes as they came (percent-encoding untouched): query string
and body joined without a separator, minus the ``signature`` pair. On the WebSocket API the payload
is all parameters sorted by name, not percent-encoded.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.PublicKey.ECC import EccKey
from Crypto.Signature import eddsa, pkcs1_15

from trading.simulator.server.wire_errors import WireError, key_refused, mandatory

DEFAULT_RECV_WINDOW_MS = 5000
MAX_RECV_WINDOW_MS = 60_000
MAX_AHEAD_MS = 1000
TIMESTAMP = re.compile(r"^[0-9]{1,20}$")
RECV_WINDOW = re.compile(r"^[0-9]{1,8}(\.[0-9]{1,3})?$")
KEY_LENGTH_BOUNDS = (8, 128)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and the account it opens: with a shared secret, or with a public key (PEM)."""

    key: str
    secret: str
    account_id: str
    can_withdraw: bool = False
    public_key: str = ""

    @property
    def is_ed25519(self) -> bool:
        return isinstance(_public_key(self.public_key), EccKey) if self.public_key else False

    def has_signed(self, payload: str, signature: str) -> bool:
        """Hex in any case for HMAC; base64 for Ed25519 and RSA (PKCS#1 v1.5, SHA-256)."""
        if not self.public_key:
            expected = hmac_hex(self.secret, payload)
            return hmac.compare_digest(signature.lower().encode(), expected.encode())
        public_key = _public_key(self.public_key)
        try:
            raw = base64.b64decode(signature, validate=True)
            if isinstance(public_key, EccKey):
                eddsa.new(public_key, "rfc8032").verify(payload.encode(), raw)
            else:
                pkcs1_15.new(public_key).verify(SHA256.new(payload.encode()), raw)
        except ValueError:
            return False
        return True


def _public_key(pem: str) -> EccKey | RSA.RsaKey:
    try:
        return ECC.import_key(pem)
    except ValueError:
        return RSA.import_key(pem)


def hmac_hex(secret: str, payload: str) -> str:
    """HMAC-SHA256 of ``payload``, in hex."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def rest_payload(query: str, body: str) -> str:
    """What a REST request signs, from its raw query string and raw form body."""
    return _without_signature(query) + _without_signature(body)


def ws_payload(params: Mapping[str, object]) -> str:
    """What a WebSocket API request signs, from its parameters."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={_ws_text(value)}" for name, value in pairs)


def parse_request(query: str, body: str) -> dict[str, str]:
    """Parameters of query and body, decoded; of one that is in both, the query's counts.

    Raises WireError -1101 for one that is twice in the query, or twice in the body.
    """
    values: dict[str, str] = {}
    for part in (body, query):
        pairs = parse_qsl(part, keep_blank_values=True)
        if len(dict(pairs)) < len(pairs):
            raise WireError(-1101, "Duplicate values for a parameter detected.")
        values.update(pairs)
    return values


class KeyRing:
    """The API keys of the exchange."""

    def __init__(self, keys: tuple[ApiKey, ...], wall_ms: Callable[[], int]) -> None:
        """``wall_ms`` is the venue's clock."""
        self._keys = {key.key: key for key in keys}
        self._wall_ms = wall_ms

    def find(self, key: str | None) -> ApiKey:
        """Raises WireError: -2014 without a plausible key, -2015 for an unknown one."""
        shortest, longest = KEY_LENGTH_BOUNDS
        if key is None or not shortest <= len(key) <= longest:
            raise WireError(-2014, "API-key format invalid.", status=401)
        found = self._keys.get(key)
        if found is None:
            raise key_refused()
        return found

    def verify(self, key: str | None, params: Mapping[str, str], payload: str) -> ApiKey:
        """The key's owner, once key, timestamp and signature are in order. Raises WireError."""
        api_key = self.find(key)
        self.check_time(params)
        signature = params.get("signature")
        if not signature:
            raise mandatory("signature")
        if not api_key.has_signed(payload, signature):
            raise WireError(-1022, "Signature for this request is not valid.")
        return api_key

    def check_time(self, params: Mapping[str, str]) -> None:
        """Raises WireError -1021 unless the request is fresh; asked again just before matching."""
        check_timestamp(params, self._wall_ms())


def check_timestamp(params: Mapping[str, str], now_ms: int) -> None:
    """Accept iff timestamp < now + 1000 and now - timestamp <= recvWindow. Raises WireError."""
    text = params.get("timestamp")
    if not text or not TIMESTAMP.fullmatch(text):
        raise mandatory("timestamp")
    timestamp = int(text)
    if timestamp > 10**14:
        timestamp //= 1000  # microseconds are allowed too
    sent_window = params.get("recvWindow") or str(DEFAULT_RECV_WINDOW_MS)
    if not RECV_WINDOW.fullmatch(sent_window):
        raise mandatory("recvWindow")
    window = Decimal(sent_window)
    if window > MAX_RECV_WINDOW_MS:
        raise WireError(-1131, "recvWindow must be less than 60000")
    if timestamp >= now_ms + MAX_AHEAD_MS:
        raise WireError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > window:
        raise WireError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _without_signature(pairs: str) -> str:
    return "&".join(pair for pair in pairs.split("&") if not pair.startswith("signature="))


def _ws_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
