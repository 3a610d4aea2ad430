"""Checkpoints as files for the edge."""
