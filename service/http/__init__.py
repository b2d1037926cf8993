"""HTTP: the server's protocol, middleware, request bodies, problem documents and the drain."""
