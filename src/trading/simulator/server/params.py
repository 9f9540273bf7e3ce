"""Parameters of a request, as strings with Binance's checks on the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from trading.simulator.server.wire_errors import WireError, invalid_data, mandatory, not_required

EnumT = TypeVar("EnumT", bound=StrEnum)
NUMBER = re.compile(r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
INTEGER = re.compile(r"^[0-9]{1,20}$")
CLIENT_ID = re.compile(r"^[a-zA-Z0-9-_]{1,36}$")
MAX_DECIMALS = 8
AUTH_PARAMS = frozenset({"timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits"})


class Params:
    """Read-only view of the sent parameters. Every getter raises WireError for a bad value."""

    def __init__(self, values: Mapping[str, str], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix
        self._read: set[str] = set()

    def leg(self, prefix: str) -> Params:
        """The view of one order of a list: ``price`` is read from ``<prefix>Price``, and so on."""
        leg = Params(self._values, prefix)
        leg._read = self._read
        return leg

    def __contains__(self, name: str) -> bool:
        return self._find(self.wire_name(name)) is not None

    def wire_name(self, name: str) -> str:
        """What ``name`` is called in the request."""
        if not self._prefix:
            return name
        name = name.removeprefix("new")
        return f"{self._prefix}{name[0].upper()}{name[1:]}"

    def as_dict(self) -> dict[str, str]:
        return dict(self._values)

    def text(self, name: str) -> str | None:
        name = self.wire_name(name)
        self._read.add(name)
        value = self._find(name)
        if value == "":
            raise WireError(-1105, f"Parameter '{name}' was empty.")
        return value

    def _find(self, name: str) -> str | None:
        return self._values.get(name)

    def required(self, name: str) -> str:
        if not self._find(self.wire_name(name)):
            raise mandatory(self.wire_name(name))
        return self.text(name) or ""

    def refuse(self, *names: str) -> None:
        """Raises WireError -1106 if one of ``names`` was sent."""
        for name in names:
            if name in self:
                raise not_required(self.wire_name(name))

    def allow(self, *names: str) -> None:
        """``names`` may be sent, and change nothing."""
        self._read.update(names)

    def check_all_read(self) -> None:
        """Raises WireError -1101 or -1104 if a parameter was sent that nobody asked for."""
        sent = self._values.keys() - AUTH_PARAMS
        if unread := sent - self._read:
            read, total = len(sent) - len(unread), len(sent)
            known = len(self._read - AUTH_PARAMS)
            if total > known:
                raise WireError(
                    -1101, f"Too many parameters; expected '{known}' and received '{total}'."
                )
            raise WireError(
                -1104,
                f"Not all sent parameters were read; read '{read}' parameter(s) but was sent"
                f" '{total}'.",
            )

    def decimal(self, name: str) -> Decimal | None:
        """A plain decimal number of at most 8 places."""
        value = self.text(name)
        if value is None:
            return None
        if not NUMBER.fullmatch(value):
            raise self._illegal(name, NUMBER.pattern)
        number = Decimal(value)
        if number != round(number, MAX_DECIMALS):
            raise WireError(-1111, f"Parameter '{self.wire_name(name)}' has too much precision.")
        return number

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not INTEGER.fullmatch(value):
            raise self._illegal(name, INTEGER.pattern)
        return int(value)

    def time_ms(self, name: str) -> int | None:
        """A time, sent in milliseconds or microseconds."""
        value = self.integer(name)
        return value // 1000 if value is not None and value > 10**14 else value

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise WireError(-1130, invalid_data(self.wire_name(name)))
        return value.lower() == "true"

    def limit(self, default: int, maximum: int) -> int:
        """``limit``, at least 1 and cut to ``maximum``."""
        return max(1, min(self.integer("limit") or default, maximum))

    def choice(self, name: str, kind: type[EnumT], code: int, message: str) -> EnumT | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as error:
            raise WireError(code, message) from error

    def client_id(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not CLIENT_ID.fullmatch(value):
            raise self._illegal(name, CLIENT_ID.pattern)
        return value

    def _illegal(self, name: str, pattern: str) -> WireError:
        return WireError(
            -1100,
            f"Illegal characters found in parameter '{self.wire_name(name)}'; legal range is"
            f" '{pattern}'.",
        )


class LooseParams(Params):
    """Futures' parameters: names are matched in any case, and nobody minds unknown ones."""

    def __init__(self, values: Mapping[str, str], prefix: str = "") -> None:
        super().__init__(values, prefix)
        self._lower = {name.lower(): value for name, value in values.items()}

    def _find(self, name: str) -> str | None:
        return self._lower.get(name.lower())

    def check_all_read(self) -> None:
        """Nothing is refused."""
