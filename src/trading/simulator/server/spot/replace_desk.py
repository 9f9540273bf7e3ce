"""Cancel-replace: cancel one order and place another, in one request."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from trading.simulator.orders import ExchangeRejection
from trading.simulator.server.params import Params
from trading.simulator.server.signatures import ApiKey
from trading.simulator.server.spot.desk import OrderDesk, order_reference, report
from trading.simulator.server.spot.order_request import parse_order, parse_response_type
from trading.simulator.server.wire import Json
from trading.simulator.server.wire_errors import WireError, invalid_data, mandatory

SUCCESS, FAILURE, NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"


class ReplaceMode(StrEnum):
    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class ExceededMode(StrEnum):
    """What becomes of the cancel when the order count is used up."""

    DO_NOTHING = "DO_NOTHING"
    CANCEL_ONLY = "CANCEL_ONLY"


class ReplaceDesk:
    """Cancels and replaces on behalf of an ``OrderDesk``."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk

    def replace(self, key: ApiKey, params: Params) -> Json:
        """Raises WireError -2022 if nothing was done, -2021 if only one of the two was."""
        record = self._desk.remember(key, params)
        order = parse_order(params)
        response_type = parse_response_type(params)
        mode = params.choice(
            "cancelReplaceMode", ReplaceMode, -1130, invalid_data("cancelReplaceMode")
        )
        if mode is None:
            raise mandatory("cancelReplaceMode")
        exceeded = params.choice(
            "orderRateLimitExceededMode",
            ExceededMode,
            -1130,
            invalid_data("orderRateLimitExceededMode"),
        )
        order_id, client_id = order_reference(params, "cancelOrderId", "cancelOrigClientOrderId")
        cancel = self._desk.cancel_one(key, params, order_id, client_id, "cancelNewClientOrderId")
        params.check_all_read()
        if exceeded is not ExceededMode.CANCEL_ONLY:
            self._desk.limiter.check_orders(key.account_id)
        canceled, cancel_response = _attempt(cancel)
        if not canceled and mode is ReplaceMode.STOP_ON_FAILURE:
            data = _data(FAILURE, NOT_ATTEMPTED, cancel_response, None)
            raise WireError(-2022, "Order cancel-replace failed.", data=data)

        def place() -> Json:
            self._desk.limiter.check_orders(key.account_id)
            placed = self._desk.exchange.submit(key.account_id, order)
            record["accepted"] = True
            if not placed.executions:
                self._desk.limiter.count_order(key.account_id)
            return report(placed, response_type)

        placed, new_response = _attempt(place)
        data = _data(
            SUCCESS if canceled else FAILURE,
            SUCCESS if placed else FAILURE,
            cancel_response,
            new_response,
        )
        if canceled and placed:
            return data
        if canceled or placed:
            message = "Order cancel-replace partially failed."
            raise WireError(-2021, message, status=409, data=data)
        raise WireError(-2022, "Order cancel-replace failed.", data=data)


def _attempt(action: Callable[[], Json]) -> tuple[bool, Json]:
    try:
        return True, action()
    except WireError as error:
        return False, dict(error.body())
    except ExchangeRejection as rejection:
        return False, dict(WireError.of(rejection).body())


def _data(cancel: str, new: str, cancel_response: Json, new_response: Json | None) -> Json:
    return {
        "cancelResult": cancel,
        "newOrderResult": new,
        "cancelResponse": cancel_response,
        "newOrderResponse": new_response,
    }
