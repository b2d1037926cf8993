"""Losses: pure functions of tensors, under the names their papers give them."""
