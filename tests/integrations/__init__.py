"""Integrations, each with the real library where it is installed."""
