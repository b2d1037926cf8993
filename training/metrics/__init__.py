"""Metrics of a GAN: how close its images are to real ones, and how varied."""
