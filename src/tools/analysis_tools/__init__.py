"""Tools that explain a move: one file for each thing that is asked."""

from __future__ import annotations

from tools.analysis_tools.correlation import AnalyzeCorrelation as AnalyzeCorrelation
from tools.analysis_tools.manipulation import DetectManipulation as DetectManipulation
from tools.analysis_tools.outside import GetLargeTransfers as GetLargeTransfers
from tools.analysis_tools.outside import GetNewsSentiment as GetNewsSentiment
from tools.analysis_tools.outside import GetSocialSentiment as GetSocialSentiment
from tools.analysis_tools.spike_context import AnalyzeSpikeContext as AnalyzeSpikeContext
from tools.analysis_tools.spike_context import window_for as window_for
from tools.analysis_tools.spike_history import MatchSpikeHistory as MatchSpikeHistory
from tools.analysis_tools.technicals import SummarizeTechnicals as SummarizeTechnicals
