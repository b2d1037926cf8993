"""Ganvas: from a folder of images to pictures over HTTP."""
