"""Draws ``scoring.png``: who reads what in a pack of three kitchen decisions. ``python docs/pictures/scoring.py``."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap

from twosome.bench.workloads import overcooked
from twosome.models.loading import EMBEDDED, load_tokenizer
from twosome.tokens.blocks import build_blocks
from twosome.tokens.encoding import encode_decision
from twosome.tokens.packing import build_pack

WHITE, SHARED, PROMPT, ACTIONS = "#ffffff", "#2f6f9f", "#7fb3d5", "#e08a3c"


def main() -> None:
    """Draw the picture beside this file."""
    tokenizer = load_tokenizer(EMBEDDED)
    encoded = sorted((encode_decision(tokenizer, d) for d in overcooked(3, 5)), key=lambda item: item.prompt_ids)
    blocks = [block for item in encoded for block in build_blocks(item)]
    pack = build_pack(blocks, torch.device("cpu"))
    total = pack.ids.shape[1]
    picture = np.zeros((total, total))
    owners = np.zeros(total, dtype=int)
    for rows in pack.members:
        owners[rows] += 1
    prompts = {
        int(row) for block, rows in zip(blocks, pack.members, strict=True) for row in rows[: len(block.prompt_ids)]
    }
    for segment in pack.segments:
        keys = segment.key_rows
        for row, seen in zip(segment.queries, segment.mask, strict=True):
            picture[row, keys[seen]] = (
                0 if not owners[row] else 3 if row not in prompts else 1 if owners[row] > 1 else 2
            )
    fed = sum(len(item.prompt_ids) + sum(map(len, item.action_ids)) for item in encoded)
    padded = sum(max(len(e.prompt_ids) + len(a) for a in e.action_ids) * len(e.action_ids) for e in encoded)
    figure, axes = plt.subplots(figsize=(7.2, 7.4), layout="constrained")
    axes.imshow(picture, cmap=ListedColormap([WHITE, SHARED, PROMPT, ACTIONS]), interpolation="nearest")
    axes.set_xlabel("token that is looked at")
    axes.set_ylabel("token that looks")
    axes.set_title(
        f"Three decisions of eight actions in one pack of {(owners > 0).sum()} tokens, filled up to {total}\n"
        f"(prompt once and every action whole: {fed}; a padded row per action: {padded})",
        fontsize=11,
    )
    for colour, words in ((SHARED, "beginning shared by prompts"), (PROMPT, "prompt"), (ACTIONS, "actions, as a trie")):
        axes.plot([], [], "s", color=colour, label=words, markersize=9)
    axes.legend(loc="upper right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
