"""Decisions only: no I/O, no sleeping, no logging, no `async`. The engine carries out what a policy decides."""
