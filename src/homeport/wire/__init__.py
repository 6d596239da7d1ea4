"""Dialects: bytes to vocabulary and back, pure."""
