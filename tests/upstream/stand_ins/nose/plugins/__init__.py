"""Stands in for nose.plugins."""
