"""Evaluation: judges runs, compares them, reports, and decides at the gate."""
