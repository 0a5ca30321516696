"""What is seen on the right."""
