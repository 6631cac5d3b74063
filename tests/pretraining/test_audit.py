"""The audit finds what a corpus shares with evaluation prompts."""

from __future__ import annotations

import pytest
from pretraining.__main__ import main
from pretraining.audit import LIMIT, ngram_hashes, ngrams, overlap, shares_ngram

PROMPT = "The lamp stands in the far corner of the green room. To read a book at night, you should now"
COPY = "He said that the lamp stands, in the far corner of THE green room all day."  # eleven words in a row
NEAR = "She put it in the far corner of the house."  # six


def test_ngrams_ignore_case_and_punctuation():
    assert ngrams("One, two. THREE", 2) == {"one two", "two three"}
    assert ngrams("one", 2) == set()


def test_overlap_counts_documents_per_length():
    found = {row.length: row.documents for row in overlap([PROMPT], [COPY, NEAR, "Nothing shared here at all."])}
    assert found[6] == 2  # "in the far corner of the"
    assert found[7] == 1
    assert found[11] == 1
    assert found[12] == 0


def test_shared_ngrams_are_found_by_hash():
    banned = ngram_hashes([PROMPT])
    assert shares_ngram(COPY, banned)
    assert not shares_ngram(NEAR, banned)
    assert not shares_ngram(COPY, frozenset())


@pytest.mark.parametrize(("texts", "status"), [([NEAR], 0), ([NEAR, COPY], 1)])
def test_the_command_fails_at_the_limit(tmp_path, capsys, texts, status):
    corpus, prompts = tmp_path / "corpus.txt", tmp_path / "prompts.txt"
    corpus.write_text("\n".join(texts) + "\n")
    prompts.write_text(PROMPT + "\n")
    assert main(["audit", str(corpus), "--prompts", str(prompts)]) == status
    output = capsys.readouterr().out
    assert ("FAILED" in output) == bool(status)
    assert f"n={LIMIT}" in output


def test_the_corpus_command_drops_documents_that_share_too_much(tmp_path):
    corpus, prompts = tmp_path / "corpus.txt", tmp_path / "prompts.txt"
    main(["corpus", str(corpus), "--documents", "40"])
    lines = corpus.read_text().splitlines()
    prompts.write_text("\n".join(lines[:20]) + "\n")
    main(["corpus", str(corpus), "--documents", "40", "--avoid", str(prompts)])
    assert main(["audit", str(corpus), "--prompts", str(prompts)]) == 0
    assert corpus.read_text().splitlines() != lines
