"""The simulator against what is known: queueing theory, published collapses, and its own cost."""
