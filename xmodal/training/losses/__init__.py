"""Losses of the bi-encoder, a file each, behind the interface of `contract.py`."""
