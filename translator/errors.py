"""The family of errors a caller can act on.

Every message is one sentence for a person: what came, what was wanted, what to do. The command line prints it as it
is, the service puts it into the error body.
"""


class CarouselError(Exception):
    """Something the caller can mend; `str(error)` says how."""


class ConfigError(CarouselError):
    """A setting is unknown, out of range, or contradicts another."""


class CheckpointError(CarouselError):
    """A checkpoint is missing, foreign, newer than this program, cut short or altered."""


class LanguageError(CarouselError):
    """A language, or a direction between two languages, that the model does not serve."""


class InputError(CarouselError):
    """A text or a file that cannot be taken as it came."""


class CorpusError(CarouselError):
    """Training text that cannot be used: sides of unlike length, nothing left after cleaning, too little of it."""


class TrainingError(CarouselError):
    """A run that cannot go on: it diverged."""


class CancelledError(CarouselError):
    """The caller went away; the work was stopped."""
