"""Sample - annotate - score - advantage - policy loss: what a run needs whose responses are its own."""
