"""Settings of notifications."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from trading.model.base import ConfigModel


class NotificationLevel(StrEnum):
    INFO = "info"
    WARNING = "warning"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(NotificationLevel).index(self)


class ChannelConfig(ConfigModel):
    """One channel: an address of any kind that apprise knows, kept in the environment."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$", description="How it is called in logs.")
    url_env: str = Field(
        pattern=r"^NOTIFY_[A-Z0-9_]{1,40}$",
        description="The variable that holds its address; one that is not set switches it off.",
    )
    min_level: NotificationLevel = Field(
        default=NotificationLevel.WARNING, description="Less important messages are not sent to it."
    )


class NotificationsConfig(ConfigModel):
    """Messages to people, through apprise (e-mail, Telegram, Slack, ntfy and a hundred more).

    Sending never holds anything up: each channel has a thread of its own.
    """

    channels: tuple[ChannelConfig, ...] = Field(
        default=(ChannelConfig(name="default", url_env="NOTIFY_URL"),),
        description="Each as {name: phone, url_env: NOTIFY_PHONE, min_level: high}; see "
        "https://appriseit.com for addresses.",
    )
    repeat_after_s: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="The same message again within this time is only counted. Wall time.",
    )
    max_per_minute: int = Field(
        default=10,
        ge=1,
        le=1_000,
        description="Info and warning messages to one channel in any 60 seconds; more are only "
        "counted. High and critical ones always go out.",
    )
    attempts: int = Field(
        default=3, ge=1, le=20, description="How often a message is tried before it is given up."
    )
    retry_pause_s: float = Field(
        default=2.0, ge=0, le=600, description="Pause before the second attempt; doubles."
    )
    queue_size: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="Messages that wait for a slow channel; beyond it the oldest is dropped.",
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [channel.name for channel in self.channels]
        if len(set(names)) != len(names):
            raise ValueError(f"two channels have the same name: {', '.join(names)}")
        return self
