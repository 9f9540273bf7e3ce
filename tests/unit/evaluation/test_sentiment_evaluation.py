"""`evaluate sentiment` on texts made for the purpose, and the arithmetic of its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from crews.cli.app import app
from crews.evaluation.sentiment import evaluate_sentiment, wilson
from crews.evaluation.sentiment_data import labelled_sets
from trading.errors import MarketDataError

POSTS = {"To the moon! Bullish!": "Positive", "A rug pull, total scam": "Negative"}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def votes(number: int, up: int | None, down: int | None) -> dict[str, Any]:
    title = "Bitcoin surges" if (up or 0) > (down or 0) else "Bitcoin plunges"
    base = {"ts": number * 1000, "title": f"{title} {number}"}
    return {**base, "votes_positive": up, "votes_negative": down}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"text": f"{text} {n}", "sentiment": POSTS[text]} for text in POSTS for n in range(40)]
    write(tmp_path / "sentiment_made.parquet", rows)
    headlines = [votes(n, 9, 1) if n % 2 else votes(n, 1, 9) for n in range(20)]
    headlines += [votes(20, 1, 1), votes(21, 5, 5), votes(22, None, None)]
    write(tmp_path / "news_made_votes.parquet", headlines)
    write(tmp_path / "news_headlines_textblob.parquet", [{"title": "machine", "polarity": 1.0}])
    return tmp_path


def test_both_scorers_are_measured_on_both_parts(folder: Path) -> None:
    found = {one["name"]: one for one in evaluate_sentiment(folder)["sets"]}
    assert set(found) == {"sentiment_made", "news_made_votes"}  # machine scores are no labels
    parts = found["sentiment_made"]["parts"]
    assert parts["test"]["texts"] + parts["build"]["texts"] == 80
    assert min(parts["test"]["texts"], parts["build"]["texts"]) > 10
    ours, plain = (parts["test"]["scorers"][name] for name in ("ours", "plain VADER"))
    assert ours["accuracy"] == 1.0
    assert ours["opposite"] == 0.0
    assert plain["accuracy"] < 1.0


def test_headlines_are_split_by_time_and_those_with_few_votes_left_out(folder: Path) -> None:
    (headlines,) = [one for one in labelled_sets(folder) if "votes" in one.name]
    assert len(headlines.texts) == 21  # of 23
    assert [one.part for one in headlines.texts[:11]] == ["build"] * 11
    assert {one.part for one in headlines.texts[11:]} == {"test"}
    assert headlines.texts[-1].label == 0


def test_a_texts_part_never_changes(folder: Path) -> None:
    before = {one.text: one.part for one in labelled_sets(folder)[1].texts}
    rows = pq.read_table(folder / "sentiment_made.parquet").to_pylist()[::-1]
    write(folder / "sentiment_made.parquet", rows[:50])
    after = labelled_sets(folder)[1].texts
    assert all(before[one.text] == one.part for one in after)


def test_the_command_writes_its_section_and_prints_json(folder: Path) -> None:
    page = folder / "page.md"
    page.write_text("# Mine\n")
    arguments = ["evaluate", "sentiment", "--data", str(folder), "--report", str(page), "--json"]
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["neutral_band"] == 0.05
    written = page.read_text()
    assert written.startswith("# Mine\n")
    assert "sentiment_made" in written


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="no labelled texts"):
        evaluate_sentiment(tmp_path)


def test_a_label_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "sentiment_x.parquet", [{"text": "t", "sentiment": "Sarcastic"}])
    with pytest.raises(MarketDataError, match="Sarcastic"):
        evaluate_sentiment(tmp_path)


def test_wilsons_interval_is_the_textbooks() -> None:
    low, high = wilson(8, 10) or (0.0, 0.0)
    assert (low, high) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 0) is None
