"""Offline training: image folder -> data -> networks -> losses -> loops -> export. The only package that imports torch."""
