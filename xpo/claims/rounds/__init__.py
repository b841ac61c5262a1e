"""What rounds and games come to, round by round."""
