"""Compares the service with the bare model and with other servers: `python -m benchmarks.serving`."""
