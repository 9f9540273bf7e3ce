"""``EntrySizer``: from a proposal to a priced, sized entry, or to the rule that refuses it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from trading.clock import Clock
from trading.errors import ExchangeError, MarketDataError, TradingHaltedError
from trading.execution.account import AccountBook
from trading.execution.journal import Journal
from trading.execution.shared_halt import Clearance
from trading.model.breaker import BreakerSnapshot
from trading.model.decision import TradeProposal
from trading.model.market import Book, Instrument
from trading.model.order import OrderType
from trading.risk.decision_validation import validate_proposal
from trading.risk.entry_facts import (
    EntryOrder,
    MarketConditions,
    ReadConditions,
    TradeHistory,
)
from trading.risk.proposal_rules import ProposalFacts
from trading.risk.reservations import ReservationBook
from trading.risk.risk_config import RiskConfig
from trading.risk.sizing import SizedEntry, percent, size_entry, size_multiplier_now

logger = logging.getLogger(__name__)

BOOK_LEVELS = 50

ReadBook = Callable[[str, int], Awaitable[Book]]


class SizedProposal(NamedTuple):
    """A proposal that passed its own rules, with what the rules for entries judge it by."""

    size: SizedEntry
    order: EntryOrder
    market: MarketConditions
    history: TradeHistory


class EntrySizer:
    """On the order loop. ``snapshot`` and ``entries_blocked`` read the breaker.

    ``trades_since_ms`` is when the account began: trades closed before are another's.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        account: AccountBook,
        reservations: ReservationBook,
        clock: Clock,
        config: RiskConfig,
        instruments: Mapping[str, Instrument],
        price: Callable[[str], float | None],
        data_fresh: Callable[[], bool],
        conditions: ReadConditions,
        order_book: ReadBook,
        snapshot: Callable[[], BreakerSnapshot],
        entries_blocked: Callable[[], bool],
        clearance: Clearance,
    ) -> None:
        self._journal = journal
        self._account = account
        self._reservations = reservations
        self._clock = clock
        self._config = config
        self._instruments = instruments
        self._price = price
        self._data_fresh = data_fresh
        self._conditions = conditions
        self._order_book = order_book
        self._snapshot = snapshot
        self._entries_blocked = entries_blocked
        self._clearance = clearance
        self.trades_since_ms = 0

    async def market(self, proposal: TradeProposal) -> MarketConditions:
        """The pair's market as it is now, for a proposal that stands a chance.

        Raises what refuses the proposal whatever the market.
        """
        self._validate(proposal)
        symbol = proposal.symbol
        others = {*self._account.position_values(), *self._reservations.by_symbol()}
        conditions = await self._conditions(symbol, sorted(others))
        try:
            book = await self._order_book(symbol, BOOK_LEVELS)
        except ExchangeError as error:  # the rules take a missing book for a breach
            logger.warning("no order book of %s: %s", symbol, error)
            return conditions
        return replace(conditions, book=book)

    def _validate(self, proposal: TradeProposal) -> Instrument:
        """The instrument of a proposal that may be entered at all. Raises what refuses it."""
        snapshot = self._snapshot()
        if self._entries_blocked():
            raise TradingHaltedError(f"the breaker is {snapshot.status}: {snapshot.reason}")
        objection = self._clearance()
        if objection is not None:
            raise TradingHaltedError(objection)
        instrument = self._instruments.get(proposal.symbol)
        validate_proposal(proposal, self._facts(proposal, instrument, snapshot), self._config)
        assert instrument is not None  # the validation refuses unknown symbols
        return instrument

    def size(self, proposal: TradeProposal, market: MarketConditions) -> SizedProposal:
        """Validated, sized and priced. Raises what refuses the proposal."""
        instrument = self._validate(proposal)
        last = self._account.price_of(proposal.symbol)
        if last is None:
            raise MarketDataError(f"no last price of {proposal.symbol}")
        limit_price = self._limit_price(proposal, instrument, last)
        history = self._journal.history(self._config.sizing.kelly_trades, self.trades_since_ms)
        size = size_entry(
            equity=self._account.equity,
            stop_loss_pct=proposal.stop_loss_pct,
            requested_notional=proposal.notional,
            limit_price=limit_price,
            size_multiplier=self.multiplier(),
            instrument=instrument,
            config=self._config,
            volatility_pct=market.volatility_pct,
            history=history,
        )
        order = EntryOrder(
            symbol=proposal.symbol,
            quantity=size.quantity,
            limit_price=limit_price,
            last_price=last,
            takes_liquidity=_takes_liquidity(proposal.entry_type, limit_price, market.book),
        )
        return SizedProposal(size, order, market, history)

    def multiplier(self) -> float:
        """What sizes are multiplied by now."""
        return size_multiplier_now(
            self._snapshot().size_multiplier,
            self._journal.recovered_at_ms(),
            self._clock.now_ms(),
            self._config.sizing,
        )

    def _facts(
        self, proposal: TradeProposal, instrument: Instrument | None, snapshot: BreakerSnapshot
    ) -> ProposalFacts:
        return ProposalFacts(
            now_ms=self._clock.now_ms(),
            epoch=snapshot.epoch,
            data_fresh=self._data_fresh(),
            last_price=self._price(proposal.symbol),
            instrument=instrument,
            spike=self._journal.spike(proposal.spike_id),
        )

    def _limit_price(
        self, proposal: TradeProposal, instrument: Instrument, last: Decimal
    ) -> Decimal:
        """The most an entry may pay.

        Every entry has a limit, a market entry, too: it goes out as an immediate-or-cancel limit
        ``max_slippage_pct`` above the last price, so that a thin book cannot run away with it.
        """
        price = proposal.limit_price
        if proposal.entry_type is OrderType.MARKET or price is None:
            slips = proposal.entry_type is not OrderType.LIMIT_MAKER
            price = last * (1 + percent(self._config.max_slippage_pct)) if slips else last
        return max(instrument.round_price(price, up=False), instrument.tick_size)


def _takes_liquidity(kind: OrderType, limit_price: Decimal, book: Book | None) -> bool:
    """Whether the order would trade at once; one that rests below the best ask does not."""
    if kind is OrderType.LIMIT_MAKER:
        return False
    return book is None or not book.asks or limit_price >= book.asks[0].price
