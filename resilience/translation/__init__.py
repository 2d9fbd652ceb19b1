"""Other libraries' errors turned into one's own."""

from resilience.translation.block import Translating, translating

__all__ = ["Translating", "translating"]
