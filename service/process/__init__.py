"""The process: starting, draining, logs."""
