"""What every request passes, from the outside in: telemetry, CORS, authentication, limits."""
