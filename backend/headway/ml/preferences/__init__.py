"""What preference pairs are, and how they are read."""
