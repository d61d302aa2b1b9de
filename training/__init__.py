"""Everything that happens offline: corpus, tokenizer learning, training, evaluation and export."""
