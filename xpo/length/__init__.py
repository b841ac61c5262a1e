"""Axis 9: how tokens become a response, and what a token more costs."""
