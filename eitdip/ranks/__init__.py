"""How the ranks of a run work together."""
