"""Every speed and every comparison that the docs claim, each made again by one command."""
