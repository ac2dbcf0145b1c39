"""What every kind of test needs."""
