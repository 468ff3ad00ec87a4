"""Benchmarks: the agent beside what a user would take instead, in one run on one machine."""

from bench.contestants import Bench, Contestant
from bench.home import Home
from bench.rounds import VoidError, rounds
from bench.table import Row

__all__ = ["Bench", "Contestant", "Home", "Row", "VoidError", "rounds"]
