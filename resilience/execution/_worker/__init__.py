"""What runs in the child process that executes code: standard library only, and quick to import."""
