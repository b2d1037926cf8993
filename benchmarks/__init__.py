"""Benchmarks: one command for each speed and comparison in the docs."""
