"""The command line of a caller: `ganvas models`, `sample`, `interpolate`, `stylize` and `sheet`."""
