"""The command line: a module for each kind of command, put together in `training.cli.app`."""
