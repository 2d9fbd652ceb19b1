"""Addresses of what the shop depends on, from the environment."""

from __future__ import annotations

import os

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:8001")
"""The service that knows prices and takes payments."""

REDIS = os.environ.get("REDIS", "redis://127.0.0.1:6379/0")
DATABASE = os.environ.get("DATABASE", "sqlite:///shop.db")
