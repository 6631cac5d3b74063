"""The shipped texts and language tasks are what their generator makes, and are held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pretraining.__main__ import AVOID, LANGUAGE
from pretraining.audit import ngram_hashes, read_prompts, shares_ngram
from pretraining.corpus import check_hold_outs
from pretraining.language import CHOICES, EXAMPLES, TASKS, TEXTS, shared_with, write_language

from twosome.language.harness import DATA, OFFLINE_TASKS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_language(tmp_path_factory.mktemp("language"), AVOID)


def test_the_package_ships_what_the_generator_makes(made: list[Path]) -> None:
    assert LANGUAGE == DATA
    assert {file.name: file.read_bytes() for file in made} == {file.name: file.read_bytes() for file in DATA.iterdir()}
    assert set(OFFLINE_TASKS) == set(TASKS)


def test_no_text_shows_a_prompt_or_breaks_a_hold_out() -> None:
    banned = ngram_hashes(read_prompts(AVOID))
    texts = [line for name in TEXTS for line in (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines()]
    for name in TASKS:
        for example in json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["examples"]:
            texts += [f"{example['context']} {choice}" for choice in example["choices"]]
    assert len(texts) > EXAMPLES * CHOICES
    for text in texts:
        assert not shares_ngram(text, banned)
        check_hold_outs(text)


@pytest.mark.parametrize("name", TASKS)
def test_every_example_can_be_answered_and_no_place_gives_the_answer_away(name: str) -> None:
    examples = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["examples"]
    assert len(examples) == EXAMPLES == len({example["context"] for example in examples})
    assert all(len(set(example["choices"])) == CHOICES for example in examples)
    places = [example["answer"] for example in examples]
    assert all(0.15 < places.count(place) / EXAMPLES < 0.35 for place in range(CHOICES))


def test_a_corpus_that_holds_a_text_is_found_out(made: list[Path]) -> None:
    lines = (DATA / "everyday.txt").read_text(encoding="utf-8").splitlines()
    report = shared_with([lines[3], "Something else entirely."], made)
    assert report["everyday"]["whole"] == 1
    assert report["next-steps"]["whole"] == 0
    assert 0 < report["everyday"]["8 words"] < 0.1
