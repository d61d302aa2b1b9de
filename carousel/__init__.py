"""The front door: one command, `carousel`, over the translator, training and api packages."""

__version__ = "0.1.0"
