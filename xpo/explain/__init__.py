"""Verbs that show without running: explain, table, inspect, list, and the matrix of what combines."""
