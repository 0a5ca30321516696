"""What the user says: clicks, the guidance drawn from them, areas, and a user for tests."""
