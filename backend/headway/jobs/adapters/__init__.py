"""Feeds a job's progress from what other libraries already tell: tqdm, Hugging Face's Trainer, Lightning.

Each module imports its library at the top, so import the one you use, from a kind's `run` only.
"""
