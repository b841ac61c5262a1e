"""Explicit rewards that are learnt: heads on a language model's hidden states, and their folders."""
