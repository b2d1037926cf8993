"""One handler for each kind of model. A new kind is one more file here and one line in `registry.py`."""
