"""Requests as every market lists them: path, WebSocket API method, weight and handler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trading.simulator.server.context import ServerContext
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey

ContextT = TypeVar("ContextT", bound=ServerContext)
Weight = Callable[[Params], int]
KeyHandler = Callable[[ApiKey, Params], Any]


@dataclass(frozen=True, slots=True)
class PublicEndpoint(Generic[ContextT]):
    """Answered to anybody. Without ``ws_method`` it is not on the WebSocket API.

    ``pool`` names a limit of its own, which then counts instead of the weight.
    """

    path: str
    ws_method: str
    weight: Weight
    answer: Callable[[ContextT, Params], Any]
    pool: str = ""


@dataclass(frozen=True, slots=True)
class KeyEndpoint(Generic[ContextT]):
    """Answered to the holder of a key. ``handler`` finds the desk's method.

    Without ``is_signed`` the key in the header is enough. A trading request weighs ``weight`` only
    when it fails; ``good_weight`` otherwise.
    """

    http_method: str
    path: str
    ws_method: str
    weight: Weight
    handler: Callable[[ContextT], KeyHandler]
    is_trade: bool = False
    good_weight: int = 0
    is_signed: bool = True


def constant(weight: int) -> Weight:
    return lambda _params: weight


def one_or_all(one: int, many: int) -> Weight:
    """Weight of an endpoint that costs more without ``symbol``."""
    return lambda params: one if "symbol" in params else many
