"""The service: HTTP in front, the stages of a search behind. Wiring only; `app.py` draws it."""
