"""Scripts that executors run in worker processes: pytest must not import them."""

collect_ignore_glob = ["*.py"]
