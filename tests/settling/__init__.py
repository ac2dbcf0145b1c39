"""A toy cluster for settle tests, and what must hold at rest."""
