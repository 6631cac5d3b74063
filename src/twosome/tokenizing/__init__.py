"""The tokenizer of a model, read as its file means it."""
