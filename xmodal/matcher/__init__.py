"""Matcher: two towers that share a space, and the reranker. Plain torch, no Ray, no tracking."""
