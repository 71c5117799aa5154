"""Sparse autoencoders: hand-written gradients, a trainer that resumes exactly, the SAELens format."""
