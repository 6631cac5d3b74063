#!/usr/bin/env bash
# PEFT loads a part of an adapter and says nothing of the rest.
#
# Versions: peft 0.21.2, transformers 5.23.0, torch 2.13.0; a LoRA adapter of a LLaMA of four layers, tiny, random.
# Expected: an adapter's file that holds weights for which the model has no place is refused, or at least warned about,
#           as transformers reports unexpected weights of a model's file.
# Seen:     loaded onto a model of two layers, half of the adapter's 16 tensors are dropped. `PeftModel.from_pretrained`
#           warns of keys that are missing in the file, never of keys in it that it did not use; only `load_adapter`
#           returns their names.
# Matters:  an adapter for another depth, or with keys of another version, is scored as if it were whole. Whoever loads
#           adapters of others has to compare the file with the model.
# Related:  https://github.com/huggingface/peft/pull/2118 (the warning about missing keys)
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 transformers==5.23.0 peft==0.21.2 numpy==2.4.6

show <<'PYTHON'
import sys
import warnings

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

print("peft", peft.__version__, "transformers", transformers.__version__, "torch", torch.__version__)


def llama(layers):
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=4,
            num_key_value_heads=2,
        )
    )


settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
get_peft_model(llama(4), settings).save_pretrained("adapter")
written = load_file("adapter/adapter_model.safetensors")

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = PeftModel.from_pretrained(llama(2), "adapter")
used = [name for name, _ in model.named_parameters() if "lora_" in name]
about = [str(warning.message) for warning in caught if "key" in str(warning.message)]
unexpected = model.load_adapter("adapter", "again").unexpected_keys

print(f"tensors in the file {len(written)}, in the model {len(used)}, warnings about keys {len(about)}")
print(f"load_adapter returns {len(unexpected)} unexpected keys, the first {unexpected[0]}")
as_described = (len(written), len(used), len(about), len(unexpected)) == (16, 8, 0, 8)
sys.exit(None if as_described else "no longer as described")
PYTHON
