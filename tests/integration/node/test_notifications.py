"""Messages through apprise to a local server: each once, none too many, and nobody waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from json_channel import PASSWORD, JsonChannel, json_channel

from trading.errors import ConfigurationError
from trading.node.apprise_channel import open_notifier
from trading.node.notifier import Channel, Notification, Notifier
from trading.node.notify_config import ChannelConfig, NotificationLevel, NotificationsConfig

LEVELS = NotificationLevel


@pytest.fixture
def server() -> Iterator[JsonChannel]:
    with json_channel() as channel:
        yield channel


def settings(*channels: ChannelConfig, **values: Any) -> NotificationsConfig:
    chosen = channels or (ChannelConfig(name="test", url_env="NOTIFY_TEST", min_level="info"),)
    return NotificationsConfig(channels=chosen, retry_pause_s=0.01, **values)


def message(title: str = "hello", level: LEVELS = LEVELS.WARNING, **values: Any) -> Notification:
    return Notification(level, title, **values)


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Collector:
    """A channel in this process whose time the test moves."""

    def __init__(self, **values: Any) -> None:
        self.clock = Clock()
        self.got: list[tuple[str, str]] = []
        config = settings(**values)
        self.channel = Channel(config.channels[0], config, self._send, self.clock)
        self.fail = False

    def _send(self, title: str, text: str, level: LEVELS) -> bool:
        if self.fail:
            raise ConnectionError("down")
        self.got.append((title, text))
        return True

    def put(self, *notifications: Notification) -> None:
        """Queue and wait until they are dealt with."""
        for notification in notifications:
            self.channel.put(notification)
        with self.channel._changed:
            assert self.channel._changed.wait_for(
                lambda: not self.channel._waiting and not self.channel._busy, 30
            )


def test_a_message_arrives_with_title_text_and_its_importance(server: JsonChannel) -> None:
    notifier = open_notifier(settings(), {"NOTIFY_TEST": server.url})
    notifier.notify(message("HALTED", LEVELS.CRITICAL, text="BTC fell"))
    arrived = server.wait_for("HALTED")
    assert (arrived["message"], arrived["type"]) == ("BTC fell", "failure")
    notifier.close()


def test_a_channel_gets_what_is_important_enough_for_it(server: JsonChannel) -> None:
    phone = ChannelConfig(name="phone", url_env="NOTIFY_PHONE", min_level="high")
    notifier = open_notifier(settings(phone), {"NOTIFY_PHONE": server.url})
    for level in LEVELS:
        notifier.notify(message(level.value, level))
    notifier.close()
    assert server.titles == ["[HIGH] high", "[CRITICAL] critical"]


def test_each_level_can_be_told_from_the_others_where_it_arrives(server: JsonChannel) -> None:
    channel = ChannelConfig(name="all", url_env="NOTIFY_ALL", min_level="info")
    notifier = open_notifier(settings(channel), {"NOTIFY_ALL": server.url})
    for level in LEVELS:
        notifier.notify(message("the same", level, key=level.value))
    notifier.close()
    assert server.titles == [
        f"[{name}] the same" for name in ("INFO", "WARNING", "HIGH", "CRITICAL")
    ]


def test_the_same_message_again_is_counted_and_told_with_the_next_one() -> None:
    collector = Collector(repeat_after_s=60)
    collector.put(*(message("feed lost") for _ in range(4)), message("other"))
    collector.clock.now_s += 60
    collector.put(message("feed lost"))
    assert [title for title, _ in collector.got] == ["feed lost", "other", "feed lost"]
    assert "the same 3 times more" in collector.got[-1][1]


def test_too_many_messages_in_a_minute_are_held_back_but_never_an_important_one() -> None:
    collector = Collector(max_per_minute=3)
    collector.put(*(message(str(number)) for number in range(5)))
    collector.put(message("HALTED", LEVELS.CRITICAL), message("Approve?", LEVELS.HIGH))
    assert [title for title, _ in collector.got] == ["0", "1", "2", "HALTED", "Approve?"]
    assert "2 other messages were held back" in collector.got[3][1]
    collector.clock.now_s += 60
    collector.put(message("5"))
    assert collector.got[-1][0] == "5"


def test_a_message_that_fails_is_tried_again_and_the_channel_is_shown_as_failing() -> None:
    collector = Collector(attempts=2)
    collector.fail = True
    collector.put(message("a"))
    assert not collector.channel.health.ok
    assert collector.channel.dropped == 1
    collector.fail = False
    collector.put(message("a"))
    assert collector.channel.health.ok
    assert [title for title, _ in collector.got] == ["a"], "one that failed counts as not sent"


def test_a_full_queue_drops_the_oldest() -> None:
    held = threading.Event()
    config = settings(queue_size=2)
    got: list[str] = []

    def send(title: str, text: str, level: LEVELS) -> bool:
        held.wait(30)
        got.append(title)
        return True

    channel = Channel(config.channels[0], config, send)
    for number in range(6):
        channel.put(message(str(number)))
    held.set()
    channel.close(30)
    assert got[-2:] == ["4", "5"]
    assert channel.dropped >= 3


def test_a_channel_that_does_not_answer_holds_up_neither_the_caller_nor_another_channel(
    server: JsonChannel,
) -> None:
    with json_channel() as stuck:
        stuck.open.clear()
        channels = (
            ChannelConfig(name="stuck", url_env="NOTIFY_STUCK"),
            ChannelConfig(name="dead", url_env="NOTIFY_DEAD"),
            ChannelConfig(name="good", url_env="NOTIFY_GOOD"),
        )
        urls = {
            "NOTIFY_STUCK": stuck.url,
            "NOTIFY_DEAD": "json://127.0.0.1:9/",
            "NOTIFY_GOOD": server.url,
        }
        notifier = open_notifier(settings(*channels), urls)
        notifier.notify(message("first"))
        assert stuck.asked.wait(30)
        notifier.notify(message("second"))  # on this very thread, while "stuck" hangs
        server.wait_for("second")
        assert stuck.received == []
        notifier.close()


def test_an_address_is_never_logged_or_named_in_an_error(
    server: JsonChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.status = 500
    notifier = open_notifier(settings(attempts=1), {"NOTIFY_TEST": server.url})
    notifier.notify(message())
    assert server.asked.wait(30)
    notifier.close()
    (health,) = notifier.health
    assert not health.ok
    assert "notifications to test: not delivered" in caplog.text
    with pytest.raises(ConfigurationError) as refused:
        open_notifier(settings(), {"NOTIFY_TEST": f"nonsense://user:{PASSWORD}@host"})
    said = caplog.text + str(refused.value) + health.detail
    assert "NOTIFY_TEST" in said
    assert PASSWORD not in said


def test_a_channel_without_an_address_is_off() -> None:
    notifier = open_notifier(NotificationsConfig(), {})
    assert notifier.health == ()
    notifier.notify(message())


def test_two_channels_of_one_name_are_refused() -> None:
    twice = (
        ChannelConfig(name="a", url_env="NOTIFY_A"),
        ChannelConfig(name="a", url_env="NOTIFY_B"),
    )
    with pytest.raises(ValueError, match="two channels have the same name"):
        NotificationsConfig(channels=twice)


def test_an_empty_notifier_ends_at_once() -> None:
    Notifier(()).close()
