"""Every tool there is, in one place: crews take theirs by name, and tests enumerate them all."""

from __future__ import annotations

from collections.abc import Iterable

from tools import analysis_tools, binance_tools, circuit_breaker_tools, risk_tools
from tools.base import ToolClass, TradingTool
from trading.api.client import TradingClient
from trading.errors import ConfigurationError

TOOL_TYPES: tuple[type[TradingTool], ...] = (
    circuit_breaker_tools.CheckCircuitBreakerStatus,
    circuit_breaker_tools.TriggerCircuitBreaker,
    circuit_breaker_tools.SetCircuitBreakerWarning,
    circuit_breaker_tools.CalculateMarketDrawdown,
    circuit_breaker_tools.StartCircuitBreakerRecovery,
    circuit_breaker_tools.ClearCircuitBreaker,
    circuit_breaker_tools.GetCircuitBreakerStatistics,
    circuit_breaker_tools.AssessMarketRecoveryConditions,
    binance_tools.GetMarketPrices,
    binance_tools.GetMarketWindows,
    binance_tools.GetOrderBook,
    binance_tools.GetFuturesData,
    binance_tools.GetLiquidations,
    binance_tools.GetPortfolio,
    binance_tools.PlaceEntryOrder,
    binance_tools.CancelOrder,
    binance_tools.ClosePosition,
    analysis_tools.AnalyzeSpikeContext,
    analysis_tools.SummarizeTechnicals,
    analysis_tools.AnalyzeCorrelation,
    analysis_tools.DetectManipulation,
    analysis_tools.MatchSpikeHistory,
    analysis_tools.GetNewsSentiment,
    analysis_tools.GetSocialSentiment,
    analysis_tools.GetLargeTransfers,
    risk_tools.CheckMarketStability,
    risk_tools.AnalyzePortfolio,
    risk_tools.CalculateRiskMetrics,
    risk_tools.CalculateSlippage,
    risk_tools.CalculatePositionSize,
    risk_tools.OptimizePositionSize,
    risk_tools.EvaluateTradeRisk,
)

_BY_NAME = {kind.model_fields["name"].default: kind for kind in TOOL_TYPES}
TOOL_NAMES: tuple[str, ...] = tuple(_BY_NAME)


def all_tools(client: TradingClient, agent_name: str | None = None) -> list[TradingTool]:
    """One of each."""
    return [kind(client, agent_name) for kind in TOOL_TYPES]


def require_reading(names: Iterable[str], agent_name: str) -> None:
    """For an agent that only writes for people.

    Raises:
        ConfigurationError: one of the tools does more than read, or does not exist.
    """
    for name in sorted(names):
        if (kind := _BY_NAME.get(name)) is None:
            raise ConfigurationError(f"{agent_name}: there is no tool {name!r}")
        if kind.tool_class is not ToolClass.READ:
            raise ConfigurationError(
                f"{agent_name} may only read, and {name} is of the class {kind.tool_class}"
            )


def tools_named(
    client: TradingClient, names: Iterable[str], agent_name: str | None = None
) -> list[TradingTool]:
    """The named tools, for one agent. Raises ConfigurationError for a name that does not exist."""
    tools = []
    for name in names:
        if (kind := _BY_NAME.get(name)) is None:
            raise ConfigurationError(f"no tool {name!r}; there are: {', '.join(TOOL_NAMES)}")
        tools.append(kind(client, agent_name))
    return tools
