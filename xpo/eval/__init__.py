"""When and on what a run is evaluated."""
