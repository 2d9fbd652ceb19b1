"""Worker process that runs one program. Standard library only, and quick to import."""
