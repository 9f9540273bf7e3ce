"""Venue settings: hosts, real-money confirmation, secrets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trading.clock import SystemClock
from trading.errors import ConfigurationError
from trading.exchange.config import ExchangeConfig
from trading.exchange.credentials import ApiCredentials
from trading.exchange.factory import create_venue
from trading.exchange.paper import PaperVenue

KEY = ApiCredentials.model_validate({"key": "k", "secret": "top-secret"})


def config(**values: object) -> ExchangeConfig:
    return ExchangeConfig.model_validate(values)


@pytest.mark.parametrize(
    "endpoints",
    [{"rest_url": "http://api.binance.com"}, {"stream_url": "ws://stream.binance.com"}],
)
def test_nothing_is_sent_in_clear_text_but_to_this_machine(endpoints: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="clear text"):
        config(venue="binance", endpoints=endpoints)
    config(venue="binance", endpoints={"rest_url": "http://127.0.0.1:1"})


def test_a_dry_run_of_futures_is_refused_with_the_settings() -> None:
    with pytest.raises(ValidationError, match="no paper trading of futures"):
        config(dry_run=True, futures={"enabled": True})


@pytest.mark.parametrize(
    ("venue", "url"),
    [
        ("sim", "https://api.binance.com"),
        ("sim", "https://testnet.binance.vision"),
        ("testnet", "https://api.binance.com"),
        ("binance", "https://testnet.binance.vision"),
        ("binance", "https://api.binance.com.evil.example"),
    ],
)
def test_a_foreign_host_is_refused_by_name(venue: str, url: str) -> None:
    with pytest.raises(ValidationError, match="is no host of venue"):
        config(venue=venue, endpoints={"rest_url": url})


def test_loopback_is_allowed_on_every_venue_and_the_rest_stays_the_venues() -> None:
    chosen = config(venue="testnet", endpoints={"rest_url": "http://127.0.0.1:8080"})
    resolved = chosen.resolved_endpoints()
    assert resolved.rest_url == "http://127.0.0.1:8080"
    assert resolved.stream_url == "wss://stream.testnet.binance.vision"


def test_real_money_needs_its_confirmation_and_a_key() -> None:
    with pytest.raises(ConfigurationError, match="i_understand_this_trades_real_money"):
        create_venue(config(venue="binance"), KEY, SystemClock())
    confirmed = config(venue="binance", i_understand_this_trades_real_money=True)
    with pytest.raises(ConfigurationError, match="API key"):
        create_venue(confirmed, None, SystemClock())
    assert create_venue(confirmed, KEY, SystemClock()).client.venue == "binance"


def test_a_dry_run_on_real_data_needs_neither() -> None:
    venue = create_venue(config(venue="binance", dry_run=True), None, SystemClock())
    assert isinstance(venue, PaperVenue)
    assert venue.client.venue == "binance-paper"


def test_the_simulator_needs_to_be_told_where_it_runs() -> None:
    with pytest.raises(ConfigurationError, match=r"exchange\.endpoints"):
        create_venue(config(), KEY, SystemClock())


def test_a_secret_does_not_show_in_texts() -> None:
    assert "top-secret" not in f"{KEY!r} {KEY} {KEY.model_dump_json()}"


def test_pauses_must_grow() -> None:
    with pytest.raises(ValidationError, match="max_delay_ms"):
        config(reconnect={"first_delay_ms": 500, "max_delay_ms": 100})


def test_a_dry_run_is_told_from_a_run_that_trades() -> None:
    assert ExchangeConfig(venue="binance").venue_label == "binance"
    assert ExchangeConfig(venue="binance", dry_run=True).venue_label == (
        "binance (dry run: paper fills)"
    )
