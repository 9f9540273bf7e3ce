"""What the venue's errors become; the same table for orders and for reads."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp
import pytest
from binance.exceptions import BinanceAPIException, BinanceRequestException

from trading.errors import (
    AuthenticationError,
    ClockSkewError,
    ExchangeConnectionError,
    ExchangeError,
    OrderNotFoundError,
    OrderRejectedError,
    RateLimitedError,
    TradingHaltedError,
    UnknownOutcomeError,
)
from trading.exchange.binance.translate import translate


def answer(status: int, body: str, headers: dict[str, str] | None = None) -> BinanceAPIException:
    return BinanceAPIException(SimpleNamespace(headers=headers or {}, text=body), status, body)


def coded(code: int, message: str = "because", status: int = 400) -> BinanceAPIException:
    return answer(status, f'{{"code":{code},"msg":"{message}"}}')


@pytest.mark.parametrize(
    ("error", "for_an_order", "for_a_read"),
    [
        (coded(-1006, status=500), UnknownOutcomeError, ExchangeConnectionError),
        (coded(-1007, status=504), UnknownOutcomeError, ExchangeConnectionError),
        (coded(-1007), UnknownOutcomeError, ExchangeConnectionError),
        (coded(-1000), UnknownOutcomeError, ExchangeConnectionError),
        (coded(-1001, status=503), UnknownOutcomeError, ExchangeConnectionError),
        (answer(502, "<html>bad gateway</html>"), UnknownOutcomeError, ExchangeConnectionError),
        (answer(408, "<html>timeout</html>"), UnknownOutcomeError, ExchangeConnectionError),
        (coded(-2010, "Duplicate order sent."), UnknownOutcomeError, ExchangeError),
        (answer(404, "<html>what?</html>"), UnknownOutcomeError, ExchangeError),
        (answer(307, ""), UnknownOutcomeError, ExchangeError),
        (coded(-2010, "Account has insufficient balance."), OrderRejectedError, ExchangeError),
        (coded(-1013, "Filter failure: LOT_SIZE"), OrderRejectedError, ExchangeError),
        (coded(-1121, "Invalid symbol."), OrderRejectedError, ExchangeError),
        (coded(-1003, status=429), RateLimitedError, RateLimitedError),
        (coded(-1003, status=418), RateLimitedError, RateLimitedError),
        (coded(-1015), RateLimitedError, RateLimitedError),
        (answer(403, "<html>firewall</html>"), RateLimitedError, RateLimitedError),
        (coded(-1021), ClockSkewError, ClockSkewError),
        (coded(-1022), AuthenticationError, AuthenticationError),
        (coded(-2014, status=401), AuthenticationError, AuthenticationError),
        (coded(-2015, status=401), AuthenticationError, AuthenticationError),
        (coded(-2013), OrderRejectedError, OrderNotFoundError),
        (coded(-2011), OrderRejectedError, OrderNotFoundError),
        (BinanceRequestException("no JSON"), UnknownOutcomeError, ExchangeConnectionError),
        (TimeoutError(), UnknownOutcomeError, ExchangeConnectionError),
        (aiohttp.ServerDisconnectedError(), UnknownOutcomeError, ExchangeConnectionError),
        (ConnectionResetError(), UnknownOutcomeError, ExchangeConnectionError),
        (KeyError("orderId"), UnknownOutcomeError, ExchangeConnectionError),
    ],
)
def test_an_error_keeps_its_meaning(
    error: Exception, for_an_order: type[Exception], for_a_read: type[Exception]
) -> None:
    assert type(translate(error, is_order=True, sent=True)) is for_an_order
    assert type(translate(error)) is for_a_read


@pytest.mark.parametrize(
    "error", [TimeoutError(), aiohttp.ClientConnectionError("refused"), ConnectionRefusedError()]
)
def test_an_order_that_never_left_is_no_unknown_outcome(error: Exception) -> None:
    assert type(translate(error, is_order=True, sent=False)) is ExchangeConnectionError


def test_our_own_errors_pass_untouched() -> None:
    halted = TradingHaltedError("fenced")
    assert translate(halted, is_order=True, sent=False) is halted


def test_the_wait_comes_from_the_header_or_is_one_window() -> None:
    told = translate(answer(429, '{"code":-1003,"msg":"slow"}', {"Retry-After": "7"}))
    untold = translate(answer(429, '{"code":-1003,"msg":"slow"}'))
    assert isinstance(told, RateLimitedError)
    assert isinstance(untold, RateLimitedError)
    assert (told.retry_after_s, untold.retry_after_s) == (7.0, 60.0)


def test_the_venues_number_and_words_are_kept() -> None:
    error = translate(coded(-2010, "Market is closed."), is_order=True, sent=True)
    assert isinstance(error, OrderRejectedError)
    assert error.code == -2010
    assert "Market is closed." in str(error)
