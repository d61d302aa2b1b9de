"""For all tests: properties are tried without a deadline, which a busy machine would break."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
