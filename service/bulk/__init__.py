"""Pictures by the million, without HTTP: Ray Data shares them out to workers that each run the engine (extra `bulk`)."""
