"""Programs that the tests and the scripts run; no tests."""
