"""Packs: every token once, in order, with nothing of other decisions in sight."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import ARCHITECTURES, READERS, build_model
from twosome.judging.probing import Reading, choose_reader
from twosome.scoring.readers import PackedReader
from twosome.tokens.blocks import GROUP, build_blocks, tree_mask
from twosome.tokens.encoding import EncodedDecision
from twosome.tokens.layout import key_width, similar
from twosome.tokens.packing import MULTIPLE, Pack, build_pack
from twosome.tokens.splitting import savings, split_by_budget

TOKENS = st.integers(3, 6)
COMMON = st.lists(TOKENS, min_size=30, max_size=30).map(tuple)
ACTIONS = st.lists(st.lists(TOKENS, min_size=1, max_size=5).map(tuple), min_size=1, max_size=8, unique=True).map(tuple)


def paths(pack: Pack) -> dict[int, list[tuple[int, int]]]:
    """For every row the tokens it sees with their positions, itself last."""
    ids, positions = pack.ids[0].tolist(), pack.positions[0].tolist()
    seen = {}
    for segment in pack.segments:
        keys = segment.key_rows
        for row, mask in zip(segment.queries, segment.mask, strict=True):
            seen[int(row)] = [(ids[key], positions[key]) for key in keys[mask]]
    return seen


@settings(max_examples=60, deadline=None)
@given(
    common=COMMON,
    rests=st.lists(st.lists(TOKENS, min_size=1, max_size=4).map(tuple), min_size=1, max_size=5),
    actions=ACTIONS,
)
def test_every_scored_token_follows_from_its_own_sentence(common, rests, actions) -> None:  # type: ignore[no-untyped-def]
    decisions = sorted({EncodedDecision((*common, *rest), actions) for rest in rests}, key=lambda d: d.prompt_ids)
    blocks = [block for decision in decisions for block in build_blocks(decision)]
    for share in (True, False):
        pack = build_pack(blocks, torch.device("cpu"), share=share)
        assert pack.ids.shape[1] % MULTIPLE == len(pack.rows) % MULTIPLE == 0
        seen, start = paths(pack), 0
        assert sorted(seen) == list(range(pack.ids.shape[1]))
        rows = pack.rows[pack.row_of].tolist()
        targets = pack.targets.tolist()
        for decision, block in zip(decisions, blocks, strict=True):
            for context, target, action, offset in zip(
                rows[start:], targets[start:], block.action, block.offset, strict=False
            ):
                sentence = (*decision.prompt_ids, *decision.action_ids[action])
                before = len(decision.prompt_ids) + offset
                assert seen[context] == [(token, place) for place, token in enumerate(sentence[:before])]
                assert target == sentence[before]
            start += len(block.targets)


def test_a_beginning_shared_by_prompts_is_read_once() -> None:
    common = tuple(range(10, 60))
    decisions = [EncodedDecision((*common, last, 9), ((1, 2), (1, 3))) for last in range(5)]
    blocks = [build_blocks(decision)[0] for decision in decisions]
    assert build_pack(blocks, torch.device("cpu")).ids.shape[1] == 72  # 50 once, 5 times 3, filled up
    assert build_pack(blocks, torch.device("cpu"), share=False).ids.shape[1] == 272
    assert [len(group) for group in split_by_budget(list(map(len, blocks)), 60, savings(blocks))] == [3, 2]


@given(lengths=st.lists(st.integers(1, 60), max_size=30), budget=st.integers(1, 120))
def test_packs_are_as_few_as_the_budget_allows_and_of_about_one_size(lengths: list[int], budget: int) -> None:
    groups = split_by_budget(lengths, budget)
    assert [i for group in groups for i in group] == list(range(len(lengths)))
    sizes = [sum(lengths[i] for i in group) for group in groups]
    assert all(size <= budget or len(group) == 1 for size, group in zip(sizes, groups, strict=True))
    filled = 0  # how many there are when each is filled before the next begins; that is never more than needed
    room = 0
    for length in lengths:
        filled, room = (filled, room - length) if length <= room else (filled + 1, budget - length)
    assert len(groups) == filled
    smaller = max(sizes, default=0) - 1
    assert smaller < max(lengths, default=0) or len(split_by_budget(lengths, smaller)) > len(groups)


def test_a_last_token_is_never_fed_and_shared_ones_once() -> None:
    (block,) = build_blocks(EncodedDecision((7, 8), ((1, 2, 3), (1, 2, 4), (5,))))
    assert block.tree_ids.tolist() == [1, 2]
    assert len(block) == 4
    assert tree_mask(len(block.prompt_ids), block.groups).tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 1, 1, 1],
    ]


def test_large_tries_are_cut_into_groups_and_blocks() -> None:
    actions = tuple((first, second, 9) for first in range(20, 40) for second in range(50, 60))
    blocks = build_blocks(EncodedDecision((7, 8), actions), budget=150)
    assert len(blocks) > 1
    assert all(len(block) <= 150 and all(len(group) <= GROUP for group in block.groups) for block in blocks)
    scored = {(a, o) for block in blocks for a, o in zip(block.action.tolist(), block.offset.tolist(), strict=True)}
    assert scored == {(action, offset) for action in range(len(actions)) for offset in range(3)}


def test_the_same_choices_hang_from_any_prompt() -> None:
    """Remembered tries are placed anew: built behind one prompt, they once more stand right behind a longer one."""
    actions = ((1, 2, 3), (1, 2, 4), (5,))
    short, long = (build_blocks(EncodedDecision(prompt, actions))[0] for prompt in ((7, 8), (7, 8, 9, 6, 7)))
    assert short.tree_positions.tolist() == [2, 3]
    assert long.tree_positions.tolist() == [5, 6]
    # 3 and 4 follow the second node, 5 the prompt; 1 and 2 are shared, and scored for both.
    for block, last in ((short, 1), (long, 4)):
        places = dict(zip(zip(block.action.tolist(), block.offset.tolist(), strict=True), block.context, strict=True))
        expected = {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 0): 0, (1, 1): 1, (1, 2): 2, (2, 0): 0}
        assert places == {key: last + node for key, node in expected.items()}
        assert block.shape == (3, 3)


def test_keys_are_filled_up_to_widths_that_kernels_treat_alike() -> None:
    assert [key_width(keys) for keys in (1, 16, 17, 192, 193, 384, 385)] == [16, 16, 32, 192, 384, 384, 400]


@given(st.lists(st.tuples(st.integers(1, 130), st.integers(1, 400)), min_size=1, max_size=7), st.integers(0, 50_000))
def test_segments_are_filled_up_in_the_cheapest_groups(shapes: list[tuple[int, int]], call: int) -> None:
    def cost(groups: list[list[int]]) -> int:
        pairs = 0
        for group in groups:
            height = max(-(-shapes[number][0] // MULTIPLE) * MULTIPLE for number in group)
            pairs += len(group) * height * max(key_width(shapes[number][1]) for number in group)
        return pairs + call * len(groups)

    found = similar(shapes, call)
    assert sorted(itertools.chain(*found)) == list(range(len(shapes)))
    order = sorted(range(len(shapes)), key=lambda i: (key_width(shapes[i][1]), -(-shapes[i][0] // MULTIPLE)))
    for cuts in itertools.product((False, True), repeat=len(shapes) - 1):
        groups = [[order[0]]]
        for number, cut in zip(order[1:], cuts, strict=True):
            groups += [[]] if cut else []
            groups[-1].append(number)
        assert cost(found) <= cost(groups)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shared_beginnings_change_no_bit(dtype: torch.dtype) -> None:
    """Prompts of many lengths, on both sides of where a kernel changes its ways, cut in different places."""
    model = build_model("llama", max_position_embeddings=1024).to(dtype)
    reader = choose_reader(model, reading=Reading("packed", 4000))
    for length in (30, 100, 170, 230, 390, 600):
        ids = tuple(3 + (7 * i) % 390 for i in range(length))
        decisions = [
            EncodedDecision((*ids[: length - cut], 5 + cut, 9), ((11, 12, 13), (11, 14, 15))) for cut in (1, 4, 9)
        ]
        with torch.no_grad():
            together = reader.log_probs(decisions)
            alone = torch.cat([reader.log_probs([decision]) for decision in decisions])
        assert torch.equal(together, alone)


# Not gpt_oss: how many rows an expert is given depends on the pack, and products of few rows round otherwise.
@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {*READERS} - {"gpt_oss"}))
def test_a_decision_has_the_same_bits_whatever_it_is_read_with(architecture: str) -> None:
    rng = random.Random(architecture)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(5, 90) for _ in range(count))

    beginnings = [tokens(length) for length in (2, 9, 40, 100)]
    drawn = [
        EncodedDecision(
            rng.choice(beginnings)[: rng.randint(1, 100)] + tokens(rng.choice((1, 3, 17, 60))),
            tuple(sorted({tokens(rng.randint(1, 8)) for _ in range(rng.choice((1, 3, 8, 40)))})),
        )
        for _ in range(16)
    ]
    decisions = list(dict.fromkeys(drawn))
    for dtype in (torch.float32, torch.bfloat16):
        reader = choose_reader(build_model(architecture).to(dtype), reading=Reading("packed", rng.choice((64, 1024))))
        with torch.no_grad():
            together = reader.log_probs(decisions)
            alone = torch.cat([reader.log_probs([decision]) for decision in decisions])
        assert torch.equal(together, alone)
        assert torch.equal(together, reader.log_probs(decisions).detach())


@pytest.mark.parametrize(("architecture", "once"), [("llama", True), ("qwen2", True), ("gpt2", False), ("opt", False)])
def test_the_first_layer_reads_every_distinct_token_once_unless_it_is_told_positions(
    architecture: str, once: bool
) -> None:
    reader = choose_reader(build_model(architecture), reading=Reading("packed"))
    assert isinstance(reader, PackedReader)
    assert reader.economies.once is once
    if not once:
        return
    ids = (5, 6, 7, 5, 6, 7, 8, 5, 6, 9, 5)
    decisions = [EncodedDecision((*ids, last), ((11, 5, 13), (11, 6, 5))) for last in (20, 21)]
    read: list[int] = []
    reader.model.model.layers[0].self_attn.k_proj.weight.requires_grad_(True)
    handle = reader.model.model.layers[0].self_attn.k_proj.register_forward_hook(
        lambda _, inputs, __: read.append(inputs[0].shape[1])
    )
    gradients, scores = [], []
    for economies in (reader.economies, replace(reader.economies, once=False)):
        reader.economies = economies
        reader.model.zero_grad()
        scores.append(reader.log_probs(decisions))
        scores[-1].sum().backward()
        gradients.append(reader.model.model.layers[0].self_attn.k_proj.weight.grad)
    handle.remove()
    assert read[0] < read[1]
    assert torch.equal(*scores)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_distinct_tokens_stand_for_all() -> None:
    pack = build_pack(build_blocks(EncodedDecision((7, 8, 7, 9), ((1, 8, 3),))), torch.device("cpu"))
    assert len(pack.distinct) % MULTIPLE == 0
    assert torch.equal(pack.ids[0][pack.distinct][pack.kind], pack.ids[0])
