"""Group ``model``: what is aligned, with the tokenizer it came with."""
