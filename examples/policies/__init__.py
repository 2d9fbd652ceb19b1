"""Policies written with the public protocol, each short enough to copy. `docs/extending.md` explains how."""
