#!/usr/bin/env bash
# Rotary embeddings that stretch themselves make a sentence's logits depend on other sentences.
#
# Versions: transformers 5.23.0, torch 2.13.0; LLaMA with `rope_type` "dynamic", Phi-3 with "longrope", tiny, random.
# Expected: what a model says of a sentence of 8 tokens does not depend on the other rows of the batch, beyond rounding.
#           What it says of a sentence does not depend on what it read in an earlier call.
# Seen:     as soon as one row of the batch is longer than the model was first trained for, all rows are read with other
#           frequencies, the short ones too: tenths of a nat and more. With "dynamic" a sentence beyond that length also
#           gives other logits after a longer one was read: the model remembers the longest.
# Matters:  batched evaluation and training of such models is not evaluation one by one. twosome takes the length at
#           which stretching begins for the longest that such a model reads.
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 transformers==5.23.0 numpy==2.4.6

show <<'PYTHON'
import sys

import torch
import transformers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

print("transformers", transformers.__version__, "torch", torch.__version__)
torch.set_num_threads(1)
TRAINED = 16  # tokens; stretching begins beyond
SIZE = dict(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
LONG = {
    "rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": TRAINED,
    "short_factor": [1.0, 1.0, 1.0, 1.0], "long_factor": [1.0, 2.0, 4.0, 8.0],
}
models = {
    "default": LlamaForCausalLM(LlamaConfig(**SIZE, max_position_embeddings=TRAINED, rope_parameters=PLAIN)),
    "dynamic": LlamaForCausalLM(LlamaConfig(**SIZE, max_position_embeddings=TRAINED, rope_parameters=DYNAMIC)),
    "longrope": Phi3ForCausalLM(
        Phi3Config(
            **SIZE, max_position_embeddings=4 * TRAINED, original_max_position_embeddings=TRAINED, rope_parameters=LONG
        )
    ),
}

beside, after = {}, {}
for name, model in models.items():
    model.eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    short, middle, long, longest = (torch.randint(3, 64, (1, length)) for length in (8, 20, 24, 40))

    def read(ids, **arguments):
        with torch.no_grad():
            return model(ids, **arguments).logits.log_softmax(-1)

    alone, first = read(short), read(middle)
    batch = torch.cat([functional.pad(short, (0, 16)), long])
    mask = torch.ones_like(batch)
    mask[0, 8:] = 0
    beside[name] = (read(batch, attention_mask=mask)[:1, :8] - alone).abs().max().item()
    read(longest)
    after[name] = (read(middle) - first).abs().max().item()
    print(f"{name:8} 8 tokens, alone and beside a row of 24: {beside[name]:.1e} nats apart")
    print(f"{name:8} 20 tokens, before and after 40 others:  {after[name]:.1e} nats apart")

as_described = (
    beside["default"] < 1e-4 and after["default"] < 1e-4
    and beside["dynamic"] > 0.01 and after["dynamic"] > 0.01 and beside["longrope"] > 0.01
)
sys.exit(None if as_described else "no longer as described")
PYTHON
