"""The processes of the service: start, shutdown and logs."""
