"""Networks: pure torch modules that know nothing of data, losses or files."""
