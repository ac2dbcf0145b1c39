"""Clusters as the reference controller leaves them when it is stopped, and what it needs to go on from those that Tiphys leaves."""
