"""Field code that several kinds share: sparse autoencoders, activation stores, text and tokens, sources."""
