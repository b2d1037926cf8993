"""Pictures from folders and zips, as tensors."""
