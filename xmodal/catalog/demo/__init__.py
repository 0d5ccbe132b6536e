"""The demo shop: a catalogue that the repository draws itself, pictures, titles and queries."""

from xmodal.catalog.demo.writer import write_demo_shop

__all__ = ["write_demo_shop"]
