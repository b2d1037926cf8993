"""What the service adds to the bare model, beside what a user would pick instead: `python -m benchmarks.serving`."""
