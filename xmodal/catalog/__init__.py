"""The catalogue: what a product, a pair and a judged query are, and how a folder becomes them."""
