"""What other libraries' errors say, in a sentence."""

from __future__ import annotations

import pytest

from twosome.errors import first_line, kind_and_line


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("\n  no such layer \nand a page of details", "no such layer"),
        (
            "Error(s) in loading state_dict for Llama:\n\tsize mismatch",
            "Error(s) in loading state_dict for Llama: size mismatch",
        ),
        ("", "ValueError"),
        ("x" * 1000, "x" * 400),
    ],
)
def test_an_error_is_told_by_its_first_line_that_says_something(said: str, line: str) -> None:
    assert first_line(ValueError(said)) == line


def test_the_kind_of_an_error_is_told_once() -> None:
    assert kind_and_line(KeyError("hidden_size")) == "KeyError: 'hidden_size'"
    assert kind_and_line(KeyError()) == "KeyError"
    assert kind_and_line(ValueError("long" * 100), 4) == "ValueError: long"
