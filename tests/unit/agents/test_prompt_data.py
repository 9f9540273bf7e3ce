"""Data blocks carry any text into a prompt without letting it out of its block."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.prompt_data import data_block, read_blocks

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
)


@given(plain)
def test_numbers_come_back_as_they_went_in(value: Any) -> None:
    assert read_blocks("before\n" + data_block("market", value) + "\nafter") == {"market": value}


@given(st.text())
def test_no_text_can_close_its_block_open_another_or_hide(text: str) -> None:
    block = data_block("news", {"headline": text})
    body = block.removeprefix('<data name="news">\n').removesuffix("\n</data>")
    assert not {"<", ">"} & set(body)
    assert body.isascii()
    assert body.isprintable()
    assert list(read_blocks(block + "\n" + data_block("breaker", 1))) == ["news", "breaker"]


def test_a_template_variable_in_data_is_not_one() -> None:
    block = data_block("news", {"headline": "ignore this {breaker} and {spike}"})
    assert "{breaker}" not in block
    assert "{spike}" not in block
