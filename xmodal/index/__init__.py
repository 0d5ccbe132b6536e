"""Index: a catalogue's vectors, metadata and patch tokens as one immutable, self-proving folder.

`build.py` writes a version, `version.py` opens and searches it.
"""
