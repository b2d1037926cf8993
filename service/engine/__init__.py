"""The engine: models, queues, batches and codecs. It knows no HTTP."""
