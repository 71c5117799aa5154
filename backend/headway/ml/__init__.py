"""Field code that several kinds share: sparse autoencoders, activation stores, text and tokens, and where models come from."""
