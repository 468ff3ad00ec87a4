"""Upgrades that end badly, in every way that was thought of; scripts/upgrades runs these."""
