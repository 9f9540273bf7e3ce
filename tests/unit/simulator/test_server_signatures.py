"""The published signature vectors, and what must not pass for signed."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import eddsa, pkcs1_15

from trading.clock import SystemClock
from trading.simulator.server.signatures import (
    ApiKey,
    KeyRing,
    check_timestamp,
    hmac_hex,
    parse_request,
    rest_payload,
    ws_payload,
)
from trading.simulator.server.wire_errors import WireError

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
ORDER = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
)
ORDER_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@pytest.mark.parametrize("split", [0, 3, 8])
def test_the_rest_vector_holds_for_query_body_and_both(split: int) -> None:
    pairs = ORDER.split("&")
    query, body = "&".join(pairs[:split]), "&".join(pairs[split:])
    if not query or not body:
        assert hmac_hex(SECRET, rest_payload(query, body)) == ORDER_SIGNATURE
        signed = f"{body or query}&signature={ORDER_SIGNATURE}"
        assert hmac_hex(SECRET, rest_payload("", signed)) == ORDER_SIGNATURE
    else:
        assert rest_payload(query, f"{body}&signature=x") == query + body  # no separator


def test_the_websocket_vector_sorts_parameters_by_name() -> None:
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01000000",
        "price": "52000.00",
        "recvWindow": 100,
        "timestamp": 1645423376532,
        "apiKey": KEY,
        "signature": "ignored",
    }
    expected = "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"
    assert hmac_hex(SECRET, ws_payload(params)) == expected


def test_the_futures_vector_is_signed_the_same_way() -> None:
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
        "&recvWindow=5000&timestamp=1591702613943"
    )
    secret = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
    expected = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
    assert hmac_hex(secret, rest_payload(text, "")) == expected


def sign_ed25519(payload: str) -> tuple[str, bytes]:
    key = ECC.generate(curve="ed25519")
    signature = eddsa.new(key, "rfc8032").sign(payload.encode())
    return key.public_key().export_key(format="PEM"), signature


def sign_rsa(payload: str) -> tuple[str, bytes]:
    key = RSA.generate(1024)
    signature = pkcs1_15.new(key).sign(SHA256.new(payload.encode()))
    return key.public_key().export_key().decode(), signature


@pytest.mark.parametrize("sign", [sign_ed25519, sign_rsa])
def test_a_public_key_opens_the_account_to_its_own_signature_only(
    sign: Callable[[str], tuple[str, bytes]],
) -> None:
    text = f"symbol=A&timestamp={now_ms()}"
    public_key, raw = sign(text)
    signature = base64.b64encode(raw).decode()
    ring = KeyRing((ApiKey(KEY, SECRET, "main", public_key=public_key),), SystemClock().now_ms)
    body = f"{text}&signature={quote(signature, safe='')}"
    assert ring.verify(KEY, parse_request("", body), rest_payload("", body)).account_id == "main"
    for wrong in (signature[::-1], "no base64", hmac_hex(SECRET, text)):
        params = parse_request("", text) | {"signature": wrong}
        with pytest.raises(WireError) as caught:
            ring.verify(KEY, params, text)
        assert caught.value.code == -1022


def signed_request(text: str, secret: str = SECRET) -> tuple[dict[str, str], str]:
    """Parameters and payload as the server sees a request whose raw body is ``text``."""
    body = f"{text}&signature={hmac_hex(secret, text)}"
    return parse_request("", body), rest_payload("", body)


def test_a_good_signature_opens_the_account_in_either_case() -> None:
    ring = KeyRing((ApiKey(KEY, SECRET, "main"),), SystemClock().now_ms)
    params, payload = signed_request(f"symbol=A&timestamp={now_ms()}")
    assert ring.verify(KEY, params, payload).account_id == "main"
    params["signature"] = params["signature"].upper()
    assert ring.verify(KEY, params, payload).account_id == "main"


def test_a_client_that_signs_other_bytes_than_it_sends_is_refused() -> None:
    ring = KeyRing((ApiKey(KEY, SECRET, "main"),), SystemClock().now_ms)
    unquoted = f"newClientOrderId=a:b&timestamp={now_ms()}"
    sent = urlencode({"newClientOrderId": "a:b", "timestamp": now_ms()}, quote_via=quote)
    body = f"{sent}&signature={hmac_hex(SECRET, unquoted)}"
    with pytest.raises(WireError) as caught:
        ring.verify(KEY, parse_request("", body), rest_payload("", body))
    assert caught.value.code == -1022


@pytest.mark.parametrize(
    ("key", "secret", "code", "status"),
    [
        (None, SECRET, -2014, 401),
        ("short", SECRET, -2014, 401),
        ("x" * 64, SECRET, -2015, 401),
        (KEY, "wrong", -1022, 400),
    ],
)
def test_bad_credentials_have_their_own_codes(
    key: str | None, secret: str, code: int, status: int
) -> None:
    ring = KeyRing((ApiKey(KEY, SECRET, "main"),), SystemClock().now_ms)
    params, payload = signed_request(f"timestamp={now_ms()}", secret)
    with pytest.raises(WireError) as caught:
        ring.verify(key, params, payload)
    assert (caught.value.code, caught.value.status) == (code, status)


@pytest.mark.parametrize(
    ("age_ms", "window", "message"),
    [
        (1001, "1000", "outside of the recvWindow"),
        (5001, None, "outside of the recvWindow"),
        (-1000, None, "1000ms ahead of the server's time"),
        (0, "60001", "recvWindow must be less than 60000"),
    ],
)
def test_a_timestamp_outside_its_window_is_refused(
    age_ms: int, window: str | None, message: str
) -> None:
    params = {"timestamp": str(10**12 - age_ms)} | ({"recvWindow": window} if window else {})
    with pytest.raises(WireError, match=message):
        check_timestamp(params, 10**12)


@pytest.mark.parametrize(("age_ms", "window"), [(1000, "1000"), (-999, "1000"), (5000, None)])
def test_a_timestamp_on_the_edge_of_its_window_passes(age_ms: int, window: str | None) -> None:
    params = {"timestamp": str(10**12 - age_ms)} | ({"recvWindow": window} if window else {})
    check_timestamp(params, 10**12)


def test_on_a_duplicate_parameter_the_query_wins() -> None:
    assert parse_request("price=2", "price=1&side=BUY") == {"price": "2", "side": "BUY"}


def now_ms() -> int:
    return time.time_ns() // 1_000_000
