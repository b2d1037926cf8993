"""A style run as a page: held-out photos in every style, losses and a verdict."""
