"""Stylizes millions of images without HTTP. Ray Data distributes them to workers that run the engine (extra `bulk`)."""
