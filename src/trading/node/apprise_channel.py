"""Channels through apprise. Its addresses hold passwords: they are never logged or shown."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from trading.errors import ConfigurationError
from trading.node.notifier import Channel, Notifier, Send
from trading.node.notify_config import NotificationLevel, NotificationsConfig


def open_notifier(config: NotificationsConfig, environment: Mapping[str, str]) -> Notifier:
    """A notifier with a thread for each channel whose variable is set.

    Raises:
        ConfigurationError: a variable holds no address that apprise knows.
    """
    channels = [
        Channel(channel, config, _sender(channel.url_env, environment[channel.url_env]))
        for channel in config.channels
        if environment.get(channel.url_env)
    ]
    return Notifier(channels)


def require_address(variable: str, url: str) -> None:
    """Raises ConfigurationError, without the address, when apprise does not know its kind."""
    _sender(variable, url)


def _sender(variable: str, url: str) -> Send:
    import apprise  # most runs have no channel

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it names addresses
    kinds = {
        NotificationLevel.INFO: apprise.NotifyType.INFO,
        NotificationLevel.WARNING: apprise.NotifyType.WARNING,
        NotificationLevel.HIGH: apprise.NotifyType.WARNING,
        NotificationLevel.CRITICAL: apprise.NotifyType.FAILURE,
    }
    target = apprise.Apprise()
    if not target.add(url):
        raise ConfigurationError(
            f"environment: {variable} holds no address that apprise knows "
            "(https://appriseit.com lists them)"
        )

    def send(title: str, text: str, level: NotificationLevel) -> bool:
        # Apprise has no kind between warning and failure, and some channels show none at all.
        named = f"[{level.value.upper()}] {title}"
        return bool(target.notify(title=named, body=text or title, notify_type=kinds[level]))

    return send
