"""The drivers, and the agent, on a real kernel whose hardware is simulated."""
