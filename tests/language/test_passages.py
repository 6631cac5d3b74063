"""What is read of a task, and of a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import byte_level
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.language.passages import action_passages, prompt_passages, read_documents, task_decisions
from twosome.tokens.encoding import Encoder

DECISION = Decision("You see the tomato. You should", ("chop the tomato", "take the bowl"))


def test_prompts_and_actions_share_no_measured_token() -> None:
    encoder = Encoder(byte_level(bos=True))
    (prompt,) = prompt_passages([DECISION], encoder)
    actions = action_passages([DECISION], encoder)
    assert prompt.first == 1
    assert [action.first for action in actions] == [len(prompt.ids)] * 2
    assert all(action.ids[: action.first] == prompt.ids and action.unit == 0 for action in actions)
    assert encoder.tokenizer.decode(actions[1].ids[actions[1].first :]) == " take the bowl"


def test_the_decisions_of_a_task_are_different_and_always_the_same() -> None:
    decisions = task_decisions("tomato-salad", {}, 5)
    assert len(set(decisions)) == 5
    assert decisions == task_decisions("tomato-salad", {}, 5)
    assert 5 < len(task_decisions("tomato-salad", {}, 1000)) < 1000  # all there are


def test_a_text_is_a_document_a_line(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("One.\n\n  Two. \n", encoding="utf-8")
    assert read_documents(file) == ["One.", "Two."]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\xfa"])
def test_a_text_without_documents_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(ConfigError, match="a document a line"):
        read_documents(tmp_path / "text.txt")
