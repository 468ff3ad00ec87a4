"""Tests of the whole way of a record: the real store and uplink, a broker in memory, fake time."""
