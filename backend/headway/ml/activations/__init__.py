"""Activations: a truncated forward with hooks, and flat shards on disk that are read in any order of rows."""
