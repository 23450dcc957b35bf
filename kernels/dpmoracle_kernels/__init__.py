"""Compiled twins of the plain functions in dpmoracle; nothing here imports the reference."""
