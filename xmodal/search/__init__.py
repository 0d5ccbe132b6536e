"""Search: the request path as a plain object, the same in one process and over a cluster."""
