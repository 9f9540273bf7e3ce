"""Settings of the breaker's mirror in Redis."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from trading.model.base import ConfigModel


class RedisConfig(ConfigModel):
    """The breaker's state, shared with gateways on other machines through Redis.

    A password is read from REDIS_PASSWORD in the environment, never from the file.
    """

    enabled: bool = Field(
        default=False,
        description="True: the start needs Redis, every transition is mirrored there, and losing "
        "it is a trip.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Host of the server.")
    port: int = Field(default=6379, ge=1, le=65_535, description="Port of the server.")
    url: str | None = Field(
        default=None,
        pattern=r"^(redis|rediss|unix)://",
        description="Replaces host and port: redis://, rediss:// (TLS) or unix://, without "
        "password.",
    )
    key_prefix: str = Field(
        default="spikeguard",
        pattern=r"^[A-Za-z0-9_.:-]{1,100}$",
        description="First part of the keys; instances with the same prefix halt together.",
    )
    instance: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.:-]{1,100}$",
        description="Name of this instance among those that share the prefix; must differ and must "
        "stay the same over restarts. Null: the name of this machine.",
    )
    check_interval_s: float = Field(
        default=1.0, ge=0.1, le=60, description="Time between two heartbeats, seconds."
    )
    timeout_s: float = Field(
        default=1.0,
        ge=0.05,
        le=30,
        description="Longest wait for one answer; a later one counts as a lost server.",
    )

    @model_validator(mode="after")
    def _url_has_no_password(self) -> Self:
        if self.url and urlsplit(self.url).password:
            raise ValueError("url must not contain a password; set REDIS_PASSWORD instead")
        return self

    @property
    def address(self) -> str:
        """URL to connect to."""
        return self.url or f"redis://{self.host}:{self.port}/0"
