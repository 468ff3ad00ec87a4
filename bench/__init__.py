"""Costs of the agent, measured side by side with what it is compared to."""
