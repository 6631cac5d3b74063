#!/usr/bin/env bash
# Models of transformers take arguments that they do not know, and drop them.
#
# Versions: transformers 5.23.0, torch 2.13.0; GPT-2 and the decoder of BART, tiny, random.
# Expected: a model that is given `position_ids` either uses them or raises a TypeError, as Python does for an argument
#           that a function does not have.
# Seen:     a sentence with padding in front and the right `position_ids` gives GPT-2's logits of the bare sentence.
#           BART's decoder learned absolute positions too, but takes the same call without a word and counts the padding
#           along: more than a nat of difference, whether the positions are given or not. A misspelt argument
#           ("atention_mask") is accepted as well.
# Matters:  that a call succeeds says nothing about whether a model honours positions, so twosome tries every model with
#           made-up decisions before it believes it (docs/decisions/scoring-paths.md).
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 transformers==5.23.0 numpy==2.4.6

show <<'PYTHON'
import sys

import torch
import transformers
from transformers import BartConfig, BartForCausalLM, GPT2Config, GPT2LMHeadModel

print("transformers", transformers.__version__, "torch", torch.__version__)
special = dict(vocab_size=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
bart = BartConfig(
    **special, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=64, encoder_layers=2,
    is_decoder=True, is_encoder_decoder=False,
)
models = {
    "GPT-2": GPT2LMHeadModel(GPT2Config(**special, n_embd=32, n_layer=2, n_head=4)),
    "BART's decoder": BartForCausalLM(bart),
}

torch.manual_seed(0)
sentence = torch.randint(3, 64, (1, 6))
padded = torch.cat([torch.zeros(1, 3, dtype=torch.long), sentence], 1)
mask = torch.tensor([[0] * 3 + [1] * 6])
positions = torch.tensor([[0] * 3 + list(range(6))])

given, misspelt = {}, {}
for name, model in models.items():
    model.eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    with torch.no_grad():
        bare = model(sentence).logits.log_softmax(-1)

        def difference(**arguments):
            found = model(padded, attention_mask=mask, **arguments).logits[:, 3:].log_softmax(-1)
            return (found - bare).abs().max().item()

        without, given[name] = difference(), difference(position_ids=positions)
        try:
            model(sentence, atention_mask=torch.ones_like(sentence))
            misspelt[name] = "accepted"
        except TypeError as error:
            misspelt[name] = f"TypeError: {error}"
    print(f"{name}: {without:.1e} nats from the bare sentence without positions, {given[name]:.1e} with them")
    print(f"{name}: atention_mask={misspelt[name]}")

as_described = given["GPT-2"] < 1e-4 and given["BART's decoder"] > 0.01 and set(misspelt.values()) == {"accepted"}
sys.exit(None if as_described else "no longer as described")
PYTHON
