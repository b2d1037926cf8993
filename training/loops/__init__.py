"""Training loops, one a kind of network: a common one would hide the only interesting lines."""
