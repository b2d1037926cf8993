"""The routes, one file each: what a route takes, what it does, and how it responds."""
