"""Language models as they are loaded and trained: base, tokenizer, adapter, the policy on them, the embedded one."""
