"""The checks behind `doctor`. Each looks at one thing and says what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from crews.checks import Check, Level
from crews.config_loader import ENV_FILE, LoadedConfig
from crews.preflight import require_permission_to_trade, store_was_used
from crews.record_diagnosis import check_audit, check_notifications
from crews.venue_diagnosis import check_venue
from trading.errors import (
    ConfigurationError,
    FleetError,
    SpikeguardError,
    StoreError,
    StoreMissingError,
)
from trading.node.instance import running_instance

if TYPE_CHECKING:
    from agents.llm_choice import LlmChoice

MODEL_TIMEOUT_S = 5.0


def diagnose(loaded: LoadedConfig) -> list[Check]:
    """Run every check; one that fails does not keep the others from running."""
    checks: list[Callable[[LoadedConfig], list[Check]]] = [
        _check_configuration,
        _check_pairs,
        _check_env_file,
        _check_instance,
        _check_store,
        check_audit,
        check_notifications,
        _check_redis,
        _check_model,
        _check_news,
        check_venue,
    ]
    return [finding for check in checks for finding in check(loaded)]


def _check_configuration(loaded: LoadedConfig) -> list[Check]:
    findings = [Check("configuration", Level.OK, f"{loaded.path} is valid")]
    if not loaded.config.circuit_breaker.enabled:
        detail = "switched off (circuit_breaker.enabled): nothing would halt a crash"
        findings.append(Check("circuit breaker", Level.FAIL, detail))
    try:
        require_permission_to_trade(loaded)
    except ConfigurationError as error:
        findings.append(Check("permission to trade", Level.FAIL, str(error)))
    return findings


def _check_pairs(loaded: LoadedConfig) -> list[Check]:
    """A mistyped pair in a rule blocks nothing, or allows nothing, without an error."""
    config = loaded.config
    named = {
        "risk.allowed_symbols": config.risk.allowed_symbols,
        "risk.blocked_symbols": config.risk.blocked_symbols,
        "risk.symbol_limits_pct": tuple(config.risk.symbol_limits_pct),
        "compliance.restricted_periods": tuple(
            symbol for period in config.compliance.restricted_periods for symbol in period.symbols
        ),
    }
    known = frozenset(config.market.symbols)
    return [
        Check(
            "pairs",
            Level.WARNING,
            f"{setting} names {', '.join(unknown)}, which market.symbols does not have: "
            "mistyped? It has no effect",
        )
        for setting, symbols in named.items()
        if (unknown := [symbol for symbol in symbols if symbol not in known])
    ]


def _check_env_file(loaded: LoadedConfig) -> list[Check]:
    file = loaded.base / ENV_FILE
    if not file.is_file():
        return []
    mode = file.stat().st_mode & 0o077
    if mode:
        detail = f"{file} is readable by others than you; chmod 600 {file}"
        return [Check("secrets", Level.WARNING, detail)]
    return [Check("secrets", Level.OK, f"{file} is readable by you alone")]


def _check_instance(loaded: LoadedConfig) -> list[Check]:
    instance = running_instance(Path(loaded.config.api.runtime_directory))
    if instance is None:
        return [Check("running core", Level.OK, "none")]
    detail = f"process {instance.pid}, venue {instance.venue}, account {instance.account}"
    return [Check("running core", Level.OK, detail)]


def _check_store(loaded: LoadedConfig) -> list[Check]:
    """Opens it as the core would, reading the whole file for damage."""
    from trading.risk.breaker_store import BreakerStore

    storage = loaded.config.storage
    try:
        store = BreakerStore.open(storage)
    except StoreMissingError:
        if store_was_used(loaded.config):
            detail = f"none at {storage.path}, where one was used; put it back, or make a new one"
            return [Check("store", Level.FAIL, f"{detail} on purpose: `python -m crews.run init`")]
        if loaded.config.exchange.venue == "sim":
            detail = f"none yet at {storage.path}; the first run on venue sim creates it"
            return [Check("store", Level.WARNING, detail)]
        detail = f"none at {storage.path}; `python -m crews.run init` creates it"
        return [Check("store", Level.FAIL, detail)]
    except StoreError as error:
        return [Check("store", Level.FAIL, str(error))]
    try:
        state = store.load()
    except StoreError as error:
        return [Check("store", Level.FAIL, str(error))]
    finally:
        store.close()
    detail = f"{storage.path} is intact; breaker {state.status}, epoch {state.epoch}"
    return [Check("store", Level.OK, detail)]


def _check_redis(loaded: LoadedConfig) -> list[Check]:
    config = loaded.config.redis
    if not config.enabled:
        return []
    from trading.risk.redis_record import RedisRecord

    password = loaded.environment.REDIS_PASSWORD
    redis = RedisRecord(config, password.get_secret_value() if password else None)
    try:
        redis.ping()
    except FleetError as error:
        return [Check("redis", Level.FAIL, str(error))]
    finally:
        redis.close()
    return [Check("redis", Level.OK, f"{config.address} answers")]


def _check_model(loaded: LoadedConfig) -> list[Check]:
    if not loaded.config.crews.enabled:
        return [Check("language model", Level.OK, "not used: crews.enabled is false")]
    from agents.llm_choice import choose_models
    from crews.model_preflight import require_usable_models

    agents, environment = loaded.config.agents, loaded.worker_environment()
    try:
        require_usable_models(agents, environment)
        choices = choose_models(agents, environment)
    except SpikeguardError as error:
        return [Check("language model", Level.FAIL, str(error))]
    return [_check_choice(choice) for choice in choices]


def _check_choice(choice: LlmChoice) -> Check:
    if choice.is_rules:
        return Check("language model", Level.OK, f"{choice.label}: no key is set, none is needed")
    if choice.base_url is None:
        detail = f"{choice.model} through {choice.provider}: not asked before the first run"
        return Check("language model", Level.OK, detail)
    return _ask_endpoint(choice)


def _ask_endpoint(choice: LlmChoice) -> Check:
    """List the endpoint's models: proves address and key without a paid call."""
    import httpx

    url = f"{(choice.base_url or '').rstrip('/')}/models"
    started = time.perf_counter()
    try:
        answer = httpx.get(
            url, headers={"Authorization": f"Bearer {choice.api_key}"}, timeout=MODEL_TIMEOUT_S
        )
        listed = answer.json().get("data", []) if answer.is_success else []
    except (httpx.HTTPError, ValueError, AttributeError) as error:
        return Check("language model", Level.FAIL, f"{url}: {error or type(error).__name__}")
    took_ms = (time.perf_counter() - started) * 1000
    if answer.status_code in (401, 403):
        return Check("language model", Level.FAIL, f"{url} refuses the key")
    if not answer.is_success:
        return Check("language model", Level.FAIL, f"{url} answers {answer.status_code}")
    if listed and choice.model not in {model.get("id") for model in listed}:
        detail = f"{url} does not list the model {choice.model}"
        return Check("language model", Level.WARNING, detail)
    return Check("language model", Level.OK, f"{choice.model} at {url}, {took_ms:.0f} ms")


def _check_news(loaded: LoadedConfig) -> list[Check]:
    """Which sources have what they need; none is asked, for most count each request."""
    config = loaded.config.news
    if not config.is_read_beside(loaded.config.exchange.venue):
        detail = f"not read beside venue {loaded.config.exchange.venue} (news.mode={config.mode})"
        return [Check("news", Level.OK, detail)]
    from trading.news.config import SOURCE_KEYS

    without = [
        f"{name} ({', '.join(keys)})"
        for name, keys in SOURCE_KEYS.items()
        if not all(getattr(loaded.environment, key) for key in keys)
    ]
    detail = f"{len(config.feeds)} feeds, {len(SOURCE_KEYS) - len(without)} sources with a key"
    if without:
        detail += f"; not configured: {', '.join(without)}"
    level = Level.OK if config.feeds or len(without) < len(SOURCE_KEYS) else Level.WARNING
    return [Check("news", level, detail)]
