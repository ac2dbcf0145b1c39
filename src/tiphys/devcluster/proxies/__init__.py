"""Real data planes for the development cluster, and what they are told."""
