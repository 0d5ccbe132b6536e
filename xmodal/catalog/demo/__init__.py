"""The demo shop: a catalogue that the repository draws itself, pictures, titles and queries."""
