"""A rollout through a real proxy, shown live and measured."""
