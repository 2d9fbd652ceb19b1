"""Usages of other libraries, each beside the same in this one.

`docs/reference/migrating.md` shows them; the tests run them.

Each entry of a `USAGES` has two functions of a function: what it is guarded by before, and after.
"""
