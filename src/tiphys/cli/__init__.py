"""The `tiphys` command, also installed as `kubectl-tiphys`."""
