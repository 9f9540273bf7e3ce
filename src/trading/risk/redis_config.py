"""Settings of the halt that gateways on several machines share through Redis."""

from __future__ import annotations

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from trading.model.base import ConfigModel

# A gateway that loses Redis is halted within two seconds.
MAX_LEASE_MS = 1_500


class RedisConfig(ConfigModel):
    """One halt for gateways on several machines, through Redis.

    A password is read from REDIS_PASSWORD in the environment, never from the file.
    """

    enabled: bool = Field(
        default=False,
        description="True: a trip halts every gateway with the same key_prefix, and losing Redis, "
        "or beginning without it, is a trip.",
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
        description="First part of the key; gateways with the same prefix halt together.",
    )
    instance: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.:-]{1,100}$",
        description="Name of this gateway in the others' reports. Null: the name of this machine.",
    )
    lease_ms: int = Field(
        default=1_000,
        ge=100,
        le=MAX_LEASE_MS,
        description="How long after asking Redis entries may leave, while it reports no halt. "
        "For a gateway that does not answer, a trip waits this long and for what the venue still "
        "takes of it.",
    )
    renew_interval_ms: int = Field(
        default=250, ge=10, le=1_000, description="Time between two renewals of the lease."
    )
    timeout_ms: int = Field(
        default=400,
        ge=10,
        le=1_000,
        description="Longest wait for one answer of Redis. With renew_interval_ms it must stay "
        "below lease_ms, so that one lost answer is not a trip.",
    )

    @model_validator(mode="after")
    def _url_has_no_password(self) -> Self:
        if self.url and urlsplit(self.url).password:
            raise ValueError("url must not contain a password; set REDIS_PASSWORD instead")
        return self

    @model_validator(mode="after")
    def _one_lost_answer_is_no_trip(self) -> Self:
        if self.renew_interval_ms + self.timeout_ms >= self.lease_ms:
            raise ValueError(
                f"renew_interval_ms={self.renew_interval_ms} and timeout_ms={self.timeout_ms} "
                f"together must stay below lease_ms={self.lease_ms}"
            )
        return self

    @property
    def address(self) -> str:
        """URL to connect to."""
        return self.url or f"redis://{self.host}:{self.port}/0"
