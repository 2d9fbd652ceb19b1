"""What breakers get wrong while they find out whether a dependency is back: one script for all libraries."""
