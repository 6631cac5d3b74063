"""What is remembered of how prompts begin saves reading and changes no bit."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from tests.tiny import READERS, build_model
from twosome.deciding.beginnings import _RECENT, WORTH_RECALLING, Beginnings, remembering
from twosome.judging.probing import Reading, choose_reader
from twosome.scoring.readers import PackedReader
from twosome.tokens.blocks import build_blocks
from twosome.tokens.encoding import EncodedDecision
from twosome.tokens.packing import MULTIPLE, Pack, build_pack


def made(seed: int, count: int) -> list[EncodedDecision]:
    """Decisions of a few families, each beginning as others of its family do, some for longer than others."""
    rng = random.Random(seed)

    def tokens(length: int) -> tuple[int, ...]:
        return tuple(rng.randrange(5, 60) for _ in range(length))

    families = [tokens(90) for _ in range(3)]
    found = []
    for _ in range(count):
        prompt = rng.choice(families)[: rng.randrange(1, 90)] + tokens(rng.randrange(1, 20))
        actions = {tokens(rng.randrange(1, 5)) for _ in range(rng.randrange(1, 6))}
        found.append(EncodedDecision(prompt, tuple(sorted(actions))))
    return found


def packed(architecture: str) -> PackedReader:
    torch.manual_seed(0)
    reader = choose_reader(build_model(architecture), None, Reading("packed"))
    assert isinstance(reader, PackedReader)
    return reader


def test_no_bit_changes_whatever_was_read_before(architecture: str) -> None:
    if architecture in READERS or architecture == "gpt_oss":
        pytest.skip("not read in packs, or a mixture of experts")
    reader = packed(architecture)
    beginnings, features, rng = Beginnings(), Beginnings(), random.Random(1)
    read = plain = 0
    with torch.no_grad():
        for seed in range(4):
            decisions = made(seed % 2 + 10, 24) + made(seed, 6)
            rng.shuffle(decisions)
            size = (1, 3, 7, 30)[seed]
            for start in range(0, len(decisions), size):
                some = decisions[start : start + size]
                before = reader.tokens
                expected = reader.log_probs(some)
                plain += reader.tokens - before
                before = reader.tokens
                with remembering(reader, beginnings):
                    found = reader.log_probs(some)
                read += reader.tokens - before
                assert torch.equal(found, expected)
                prompts = [each.prompt_ids for each in some]
                with remembering(reader, features):
                    hidden = reader.features(prompts)
                assert torch.equal(hidden, reader.features(prompts))
    assert reader.beginnings is None
    if reader.economies.share:
        assert read < plain
        assert len(beginnings) > 20


def test_the_longest_beginning_is_found_and_never_a_whole_prompt() -> None:
    reader = packed("llama")
    common = tuple(range(3, 50))
    known, decision = Beginnings(), EncodedDecision((*common, 51, 52), ((5,),))
    with torch.no_grad(), remembering(reader, known):
        reader.log_probs([decision, EncodedDecision((*common[:40], 53), ((5,),))])
    lengths = {
        (*common, 51, 54): len(common) + 1,
        (*common[:40], 55): 40,
        common: len(common),
        (*common, 51, 52): len(common) + 2,
        common[: WORTH_RECALLING - 1]: None,
        (99, *common): None,
    }
    for ids, length in lengths.items():
        found = known.longest(ids, len(ids))
        assert (found and found[1]) == length
    found = known.longest((*common, 51, 52), len(common) + 1)
    assert found is not None
    assert found[1] == len(common) + 1  # the last token's own output is wanted, so it is read


def test_several_that_share_a_little_in_a_pack_are_each_read_on_from_what_is_remembered() -> None:
    """A short beginning that a pack shares must not stand in the way of the long ones that its members remember."""
    reader = packed("llama")
    known, front = Beginnings(), tuple(range(5, 17))  # shorter than what is worth recalling, worth sharing

    def prompts(end: int) -> list[EncodedDecision]:
        bodies = [tuple((7 * family + n) % 50 + 5 for n in range(60)) for family in range(4)]
        return [EncodedDecision((*front, *body, end, end), ((5, 6), (7,))) for body in bodies]

    with torch.no_grad():
        with remembering(reader, known):
            reader.log_probs(prompts(3))
        expected = reader.log_probs(prompts(4))
        before = reader.tokens
        with remembering(reader, known):
            found = reader.log_probs(prompts(4))
    assert torch.equal(found, expected)
    # Of each only the end is read, and one node of its phrases; without the memory they are 72 tokens and more each.
    assert reader.tokens - before <= 4 * (2 + 1) + MULTIPLE


def test_one_beginning_serves_all_of_a_pack_and_stands_in_it_once() -> None:
    reader, known = packed("llama"), Beginnings()
    body = tuple(n % 50 + 5 for n in range(70))
    some = [EncodedDecision((*body, *(3,) * n, 4), ((5, 6),)) for n in range(1, 5)]
    with torch.no_grad(), remembering(reader, known):
        reader.log_probs([EncodedDecision((*body, 60), ((5,),))])
        blocks = [block for each in some for block in build_blocks(each)]
        pack = build_pack(blocks, torch.device("cpu"), known=known)
    assert [len(rows) for _, rows in pack.before] == [70]
    assert pack.ids.shape[1] <= 16 + MULTIPLE


def test_what_is_fetched_from_an_old_pack_does_not_hold_all_of_it() -> None:
    """What was read last is fetched where it lies, several prompts in one go; from an older pack it is copied out."""
    reader, known = packed("llama"), Beginnings()

    def some(end: int) -> list[EncodedDecision]:
        bodies = [tuple((11 * family + n) % 50 + 5 for n in range(60)) for family in range(4)]
        return [EncodedDecision((*body, end, end), ((5, 6), (7,))) for body in bodies]

    def found(end: int) -> Pack:
        blocks = [block for each in some(end) for block in build_blocks(each)]
        return build_pack(sorted(blocks, key=lambda block: block.prompt_ids), torch.device("cpu"), known=known)

    with torch.no_grad(), remembering(reader, known):
        reader.log_probs(some(3))
        ((layers, rows),) = found(4).before
        assert len(rows) == 4 * 60
        assert all(len(keys) > 4 * 62 for keys, _ in layers.values())  # the pack's own
        for start in range(_RECENT):
            reader.log_probs([EncodedDecision((60, *range(start, start + 50)), ((5,),))])
        before = found(4).before
        assert len(before) == 4
        for (copied, own), rows_there in zip(before, rows.split(60), strict=True):
            for layer, pair in copied.items():
                assert [len(each) for each in pair] == [62, 62]
                for each, whole in zip(pair, layers[layer], strict=True):
                    assert torch.equal(each[own], whole[rows_there])


def test_memory_is_bounded_and_what_is_forgotten_is_not_found() -> None:
    reader = packed("llama")
    known = Beginnings(300_000)
    with torch.no_grad(), remembering(reader, known):
        for start in range(60):
            reader.log_probs([EncodedDecision(tuple((start + n) % 60 for n in range(60)), ((5,),))])
    assert known.nbytes <= 300_000
    assert 0 < len(known) < 60
    assert known.longest(tuple(n % 60 for n in range(60)), 59) is None
    assert known.longest(tuple((59 + n) % 60 for n in range(60)), 59) is not None


@pytest.mark.parametrize("change", [{"attention": "sparse"}, {"frozen_layers": 1}])
def test_where_it_might_show_nothing_is_remembered(change: dict[str, Any]) -> None:
    reader, known = packed("llama"), Beginnings()
    for name, value in change.items():
        setattr(reader, name, value)
    with remembering(reader, known):
        assert reader.beginnings is None
