"""Axis 13: supervised fine-tuning before the alignment, merged into it, or not at all."""
