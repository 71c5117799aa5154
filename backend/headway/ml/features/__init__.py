"""What features of an SAE do: when they fire and how strongly, on which tokens, and what they write to the output."""
