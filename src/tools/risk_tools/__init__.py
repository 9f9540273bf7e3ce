"""Tools about risk: what the account has at stake, what a trade would add, how near a halt is."""

from __future__ import annotations

from tools.risk_tools.metrics import CalculateRiskMetrics as CalculateRiskMetrics
from tools.risk_tools.optimizer import OptimizePositionSize as OptimizePositionSize
from tools.risk_tools.portfolio import AnalyzePortfolio as AnalyzePortfolio
from tools.risk_tools.sizing import CalculatePositionSize as CalculatePositionSize
from tools.risk_tools.sizing import EvaluateTradeRisk as EvaluateTradeRisk
from tools.risk_tools.slippage import CalculateSlippage as CalculateSlippage
from tools.risk_tools.stability import CheckMarketStability as CheckMarketStability
