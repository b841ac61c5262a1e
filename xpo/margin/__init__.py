"""How much better the preferred response must be: an offset of the reward gap, in reward units."""
