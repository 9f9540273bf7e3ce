"""HTTP for the sources: patience, size and pace bounded, unchanged answers not read twice.

Addresses come from the configuration alone and redirections are not followed, so that no text of
outside decides where a request goes. Some sources want their key in the address: errors and log
lines name the source and never the address.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import msgspec
from aiolimiter import AsyncLimiter

from trading.errors import NewsSourceError

T = TypeVar("T")

USER_AGENT = "spikeguard/0.1 (news reader)"
LONGEST_PAUSE_S = 3_600.0
_PACKED, _PLAIN = ("gzip", "x-gzip"), ("", "identity")
_GZIP_BITS = 16 + zlib.MAX_WBITS
_REMEMBERED = 200  # addresses whose last answer's tag is kept

# httpx logs each request with its address, keys included.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Fetcher:
    """Requests of one source."""

    def __init__(
        self,
        name: str,
        client: httpx.AsyncClient,
        *,
        timeout_s: float,
        max_bytes: int,
        requests_per_s: float = 5.0,
    ) -> None:
        self.name = name
        self._client = client
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._limiter = AsyncLimiter(1, 1.0 / requests_per_s)
        self._tags: OrderedDict[str, dict[str, str]] = OrderedDict()

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes | None:
        """The answer's body; None when it is the same as last time.

        Raises:
            NewsSourceError: no answer, too long an answer, or one that says no.
        """
        request = self._client.build_request(
            "GET", url, params=dict(params) if params else None, headers=dict(headers or {})
        )
        key = str(request.url)
        request.headers.update(self._tags.get(key, {}))
        status, answered, body = await self._send(request)
        if status == httpx.codes.NOT_MODIFIED:
            return None
        self._refuse(status, answered)
        self._remember(key, answered)
        return body

    async def post(self, url: str, *, form: Mapping[str, str], auth: tuple[str, str]) -> bytes:
        """Raises NewsSourceError like ``get``."""
        request = self._client.build_request("POST", url, data=dict(form))
        prepared = next(httpx.BasicAuth(*auth).auth_flow(request))
        status, answered, body = await self._send(prepared)
        self._refuse(status, answered)
        return body

    def decode(self, body: bytes, kind: type[T]) -> T:
        """``body`` as a ``kind``; fields that it does not name are ignored.

        Raises:
            NewsSourceError: it is none.
        """
        try:
            return msgspec.json.decode(body, type=kind, strict=False)
        except msgspec.MsgspecError as error:
            raise NewsSourceError(f"{self.name}: its answer is not understood: {error}") from None

    async def _send(self, request: httpx.Request) -> tuple[int, httpx.Headers, bytes]:
        # Unpacked here, within the bound: httpx unpacks a piece as a whole, however long it gets.
        request.headers["accept-encoding"] = _PACKED[0]
        try:
            async with self._limiter, asyncio.timeout(self._timeout_s):
                response = await self._client.send(request, stream=True)
                try:
                    body = bytearray()
                    async for chunk in response.aiter_raw():
                        body += chunk
                        if len(body) > self._max_bytes:
                            raise self._too_long()
                    packed = response.headers.get("content-encoding", "")
                    plain = self._unpacked(bytes(body), packed.strip().lower())
                    return response.status_code, response.headers, plain
                finally:
                    await response.aclose()
        except TimeoutError:
            raise NewsSourceError(f"{self.name}: no answer in {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            # Not the error's own text, nor the error as a cause: both may hold the address.
            raise NewsSourceError(f"{self.name}: {type(error).__name__}") from None

    def _unpacked(self, body: bytes, how: str) -> bytes:
        if not body or how in _PLAIN:
            return body
        if how not in _PACKED:
            raise NewsSourceError(f"{self.name}: its answer is packed in a way not asked for")
        decoder = zlib.decompressobj(_GZIP_BITS)
        try:
            plain = decoder.decompress(body, self._max_bytes + 1)
        except zlib.error:
            raise NewsSourceError(f"{self.name}: its answer cannot be unpacked") from None
        if len(plain) > self._max_bytes:
            raise self._too_long()
        if not decoder.eof:
            raise NewsSourceError(f"{self.name}: its answer ends half way")
        return plain

    def _too_long(self) -> NewsSourceError:
        return NewsSourceError(f"{self.name}: its answer is longer than {self._max_bytes} bytes")

    def _refuse(self, status: int, headers: httpx.Headers) -> None:
        if 200 <= status < 300:
            return
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise NewsSourceError(f"{self.name}: refused (HTTP {status}); is its key right?")
        if 300 <= status < 400:
            raise NewsSourceError(f"{self.name}: has moved (HTTP {status}); correct its address")
        pause_s = _retry_after_s(headers.get("retry-after", ""))
        if status == httpx.codes.TOO_MANY_REQUESTS and pause_s is None:
            pause_s = LONGEST_PAUSE_S / 4
        raise NewsSourceError(f"{self.name}: HTTP {status}", retry_after_s=pause_s)

    def _remember(self, key: str, headers: httpx.Headers) -> None:
        tags = {}
        if etag := headers.get("etag"):
            tags["if-none-match"] = etag
        if modified := headers.get("last-modified"):
            tags["if-modified-since"] = modified
        if tags:
            self._tags[key] = tags
            self._tags.move_to_end(key)
            while len(self._tags) > _REMEMBERED:
                self._tags.popitem(last=False)


def _retry_after_s(value: str) -> float | None:
    """Seconds of a Retry-After header, bounded; None where there is no usable one."""
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_PAUSE_S)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    wait_s = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, wait_s), LONGEST_PAUSE_S)
