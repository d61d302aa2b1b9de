"""Carousel's library: text in, `Translation` out. No HTTP, no training."""
