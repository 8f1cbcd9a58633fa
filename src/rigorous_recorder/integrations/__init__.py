"""Loggers for frameworks, one module each, which is imported together with its framework."""
