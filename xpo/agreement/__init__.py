"""How far an annotator agrees with labels that it has not seen, and what sways it: ``xpo agreement``."""
