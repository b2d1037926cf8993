"""The middleware, from the outside in: telemetry, CORS, authentication, limits.

CORS is Starlette's, and is left out if GANVAS_CORS_ORIGINS is empty. `service.bento` builds the application in this order.
"""
