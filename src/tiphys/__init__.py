"""Tiphys: a progressive-delivery controller for Kubernetes."""
