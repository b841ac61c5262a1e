"""An example plugin. Importing it registers its components; nothing else happens at import."""

from xpo_example import gamma_chi, margin_filter

__all__ = ["gamma_chi", "margin_filter"]
