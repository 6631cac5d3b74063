"""The recipe that makes the embedded model: corpus, tokenizer, training, audit.  Not part of the installed package."""
