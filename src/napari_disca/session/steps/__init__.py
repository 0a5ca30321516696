"""Steps of the history, and the values that they hold."""
