"""Headway: long-running training whose progress is true and whose crashes lose nothing."""

__version__ = "0.1.0"
