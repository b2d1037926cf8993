"""HTTP: the server's protocol, middleware, request bodies and problem documents."""
