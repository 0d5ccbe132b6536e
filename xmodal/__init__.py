"""xmodal: cross-modal product search, from a catalogue to a served, fine-tuned matcher."""

__version__ = "0.1.0"
