"""How tasks come in: open polls, and which tokens are known."""
