"""Sparse autoencoders: objectives with hand-written gradients, a trainer that resumes exactly, and the SAELens format."""
