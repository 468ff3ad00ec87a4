"""Tests of `bench/`: what its figures are made of."""
