"""Releases and tracking. `pointer` needs no MLflow; `runs` and `releases` are the rooms that do."""
