"""How a run is trained: sizes, precision, devices, checkpoints."""
