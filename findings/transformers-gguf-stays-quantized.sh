#!/usr/bin/env bash
# A model that transformers loaded from GGUF into plain float32 cannot be saved or cast.
#
# Versions: transformers 5.23.0, accelerate 1.15.0, gguf 0.19.0, torch 2.13.0, on a CPU; a tiny random LLaMA in Q8_0,
#           written here.
# Expected: where no kernel for the packed weights is available, the file is unpacked into an ordinary model when it is
#           loaded, as transformers' documentation says; an ordinary model can be saved with `save_pretrained`, and
#           cast with `half` or `float`.
# Seen:     every layer is a torch.nn.Linear and every weight float32, and all three raise a ValueError: the model "is
#           quantized". Loaded with GgufConfig(dequantize=True), it is the same model to the bit, and all three work.
# Matters:  whoever has a GGUF file can turn it into a directory that twosome and everything else reads, but only with a
#           setting that seems to say what happens anyway.
# Related:  https://github.com/huggingface/transformers/pull/47779 (packed weights, and the fallback)
set -eu
. "$(dirname "$0")/lib.sh"
install torch==2.13.0 transformers==5.23.0 accelerate==1.15.0 gguf==0.19.0 numpy==2.4.6

show <<'PYTHON'
import importlib.metadata
import sys

import gguf
import numpy
import torch
import transformers
from transformers import AutoModelForCausalLM, GgufConfig

print("transformers", transformers.__version__, "gguf", importlib.metadata.version("gguf"), "torch", torch.__version__)
transformers.utils.logging.disable_progress_bar()
LAYERS, HIDDEN, INNER, VOCABULARY, HEADS = 2, 64, 128, 96, 4
Q8_0 = gguf.GGMLQuantizationType.Q8_0
generator = numpy.random.default_rng(0)

writer = gguf.GGUFWriter("tiny.gguf", "llama")
writer.add_block_count(LAYERS)
writer.add_context_length(128)
writer.add_embedding_length(HIDDEN)
writer.add_feed_forward_length(INNER)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_layer_norm_rms_eps(1e-6)
writer.add_rope_dimension_count(HIDDEN // HEADS)
writer.add_rope_freq_base(10000.0)
writer.add_vocab_size(VOCABULARY)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def matrix(name, *shape):
    weights = generator.standard_normal(shape).astype(numpy.float32) / 10
    writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weights, Q8_0), raw_dtype=Q8_0)


def norm(name):
    writer.add_tensor(f"{name}.weight", numpy.ones(HIDDEN, numpy.float32))


matrix("token_embd", VOCABULARY, HIDDEN)
matrix("output", VOCABULARY, HIDDEN)
norm("output_norm")
for layer in range(LAYERS):
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        matrix(f"blk.{layer}.{part}", HIDDEN, HIDDEN)
    matrix(f"blk.{layer}.ffn_gate", INNER, HIDDEN)
    matrix(f"blk.{layer}.ffn_up", INNER, HIDDEN)
    matrix(f"blk.{layer}.ffn_down", HIDDEN, INNER)
    norm(f"blk.{layer}.attn_norm")
    norm(f"blk.{layer}.ffn_norm")
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

ids = torch.arange(10)[None]
logits, plain, raised = {}, {}, {}
for name, settings in (
    ("as it comes", {}),
    ("dequantize=True", {"quantization_config": GgufConfig(dequantize=True)}),
):
    model = AutoModelForCausalLM.from_pretrained(".", gguf_file="tiny.gguf", **settings).eval()
    layer = model.model.layers[0].self_attn.q_proj
    plain[name] = type(layer) is torch.nn.Linear and {weight.dtype for weight in model.parameters()} == {torch.float32}
    with torch.no_grad():
        logits[name] = model(ids).logits
    print(f"{name}: layers are {type(layer).__name__}, weights {layer.weight.dtype}")
    raised[name] = 0
    actions = {"save_pretrained": lambda: model.save_pretrained("saved"), "float": model.float, "half": model.half}
    for what, do in actions.items():
        try:
            do()
            print(f"    {what}: done")
        except ValueError as error:
            raised[name] += 1
            print(f"    {what}: ValueError: {str(error)[:76]} ...")

as_described = (
    all(plain.values()) and torch.equal(*logits.values()) and raised == {"as it comes": 3, "dequantize=True": 0}
)
sys.exit(None if as_described else "no longer as described")
PYTHON
