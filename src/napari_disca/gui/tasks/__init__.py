"""Jobs on threads, and files that are opened."""
