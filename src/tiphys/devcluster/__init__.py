"""A Kubernetes-compatible cluster in one process, for the demo and for tests."""
