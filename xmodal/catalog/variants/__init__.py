"""Variants of what shoppers type and show: to test robustness with, and to augment training by."""
