"""The tokenizer of a GGUF file: what transformers makes of it, and what it knows less of than the model's makers.

The file holds vocabulary, merges and special tokens. How text is cut before it is looked up is a name in it, and how
text is normalised is not in it.
"""

from __future__ import annotations

from typing import Any

from twosome.errors import ModelError
from twosome.models.gguf.header import Header
from twosome.models.gguf.naming import GgufFile
from twosome.tokenizing.leftovers import without_parts
from twosome.tokens.encoding import Tokenizer

_CUT = "tokenizer.ggml.pre"
# Names of ways to cut text, as llama.cpp gives them to byte-level tokenizers.
_PLAIN = {"gpt-2", "phi-2", "mpt", "olmo", "jais", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat"}
_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
"""As the plain ones, after each digit was set apart; transformers does not know these."""
_COMPOSED = {"qwen2", "qwen35"}
"""Those whose text is put into Unicode's form NFC first."""


def check_tokenizer(file: GgufFile, header: Header) -> None:
    """Refuse a file without tokenizer, and one whose way of cutting text is not known: it would be another one.

    Raises:
        ModelError: If it is not.
    """
    from transformers.integrations.gguf import gguf_tokenizer_mapping

    if "tokenizer.ggml.tokens" not in header.metadata:
        raise ModelError(f"the GGUF file {file.name!r} holds no tokenizer (tokenizer.ggml.tokens): get one that does")
    cut = header.metadata.get(_CUT)
    if header.metadata.get("tokenizer.ggml.model") != "gpt2":
        return
    known = {*gguf_tokenizer_mapping.GGUF_PRE_TOKENIZER_SPLITS, *_PLAIN, *_DIGITS}
    if cut not in known:
        raise ModelError(
            f"the GGUF file {file.name!r} has its text cut in the way of {cut!r} (tokenizer.ggml.pre), which is not "
            f"known here, so the model would be given other tokens than it was trained with; known are "
            f"{', '.join(sorted(known))}: get the model as a directory or from a hub instead"
        )


def read_tokenizer(header: Header, where: dict[str, str]) -> Any:
    """The tokenizer of a file alone, of no class that would cut texts in a way of its own."""
    from tokenizers import normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(**where)
    backend, cut = tokenizer.backend_tokenizer, header.metadata.get(_CUT)
    if cut in _DIGITS:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    if cut in _COMPOSED and backend.normalizer is None:
        backend.normalizer = normalizers.NFC()
    return tokenizer


def read_copied(directory: str) -> Tokenizer:
    """The tokenizer that was saved of one of these, as it was: the model's type may name another class."""
    from transformers import PreTrainedTokenizerFast

    tokenizer: Tokenizer = without_parts(PreTrainedTokenizerFast.from_pretrained(directory))
    return tokenizer
