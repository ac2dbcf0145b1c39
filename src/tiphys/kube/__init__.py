"""How do we talk to an API server? (Nothing here has heard of rollouts.)"""
