"""Beside the axes: what a run imitates, made from answers that are criticised and revised first."""
