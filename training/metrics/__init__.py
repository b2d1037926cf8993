"""Metrics of a GAN: how close its pictures are to real ones and how varied, and the watch for a collapse."""
