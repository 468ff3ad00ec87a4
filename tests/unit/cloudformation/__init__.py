"""Tests of packaging/cloudformation: no AWS is asked."""
