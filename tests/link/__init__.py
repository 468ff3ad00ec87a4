"""The link against a scripted broker: AWS Device Advisor's cases, and those of a hostile one."""
