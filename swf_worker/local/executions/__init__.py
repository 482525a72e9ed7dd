"""Workflow executions: their state, their history, how they and their tasks begin and end."""
