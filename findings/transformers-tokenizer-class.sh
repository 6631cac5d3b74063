#!/usr/bin/env bash
# AutoTokenizer does not split text as tokenizer.json says where a class is named that has rules of its own.
#
# Versions: transformers 5.23.0, tokenizers 0.23.3; a byte-level BPE tokenizer trained here on a few numbers and words.
# Expected: a tokenizer.json is complete: AutoTokenizer gives the ids that the tokenizers library gives for the same
#           file. The class in tokenizer_config.json is a name for it.
# Seen:     with "tokenizer_class": "GPT2Tokenizer" or "Qwen2Tokenizer" the vocabulary and merges are taken from the
#           file, and the rule that splits text before merging from the class. Ids differ and nothing is said; decoded,
#           they give the same text back. With "PreTrainedTokenizerFast" or "TokenizersBackend" the file is obeyed.
# Matters:  a model reads text split otherwise than in its training, and scores of phrases are plausible and wrong.
#           twosome's own model names "TokenizersBackend".
# Known:    https://github.com/huggingface/transformers/issues/45920 (several published models),
#           https://github.com/huggingface/transformers/pull/44606 (why it is so)
set -eu
. "$(dirname "$0")/lib.sh"
install transformers==5.23.0 tokenizers==0.23.3

show <<'PYTHON'
import json
import sys
from pathlib import Path

import tokenizers
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
END = "<|endoftext|>"
file = Tokenizer(models.BPE())
file.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(r"\p{N}{1,3}|[^\s\p{N}]+|\s+"), "isolated"),  # at most three digits; words keep their 's
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
])
file.decoder = decoders.ByteLevel()
text = [" ".join(map(str, range(1000))), "don't walk to the kitchen, don't pour the cups"] * 5
alphabet = pre_tokenizers.ByteLevel.alphabet()
file.train_from_iterator(
    text, trainers.BpeTrainer(vocab_size=1500, initial_alphabet=alphabet, special_tokens=[END], show_progress=False)
)
folder = Path("tokenizer")
folder.mkdir()
file.save(str(folder / "tokenizer.json"))

sentence = "don't pour 2026 cups"
right = file.encode(sentence)
print(f"{'tokenizers':24} {right.tokens}")
same, back = {}, {}
for name in ("GPT2Tokenizer", "Qwen2Tokenizer", "PreTrainedTokenizerFast", "TokenizersBackend"):
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, "eos_token": END}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(sentence, add_special_tokens=False)["input_ids"]
    same[name], back[name] = ids == right.ids, tokenizer.decode(ids) == sentence
    print(f"{name:24} {tokenizer.convert_ids_to_tokens(ids)}")

as_described = all(back.values()) and same == {
    "GPT2Tokenizer": False, "Qwen2Tokenizer": False, "PreTrainedTokenizerFast": True, "TokenizersBackend": True
}
sys.exit(None if as_described else "no longer as described")
PYTHON
