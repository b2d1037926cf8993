"""Metrics of a GAN (how close its images are to real images, and how varied), and results of evaluations of any kind."""
