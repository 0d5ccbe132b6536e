"""Fine-tune and serve cross-modal product search. The version lives here and nothing else."""

__version__ = "0.1.0"
