"""Reads images from folders and zips into tensors."""
