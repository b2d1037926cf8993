"""The engine: sessions, batching and codecs; it knows nothing of HTTP but its problems."""
