"""Retrieval: pictures and texts to vectors, exact search, metrics."""
