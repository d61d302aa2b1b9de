"""How threads wait for one another.

The threads of the kernels and of PyTorch are those of GNU's OpenMP. One that waits spins for some milliseconds
before it sleeps. If the one it waits for has no core, as on a machine with other work to do, that is how long every
operation takes, and a translation many times as long as alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = "6000"  # some ten microseconds: as long as the next operation is away, and hardly longer


def wait_briefly() -> None:
    """Lets waiting threads sleep soon, unless the environment says otherwise; before a model is loaded, or PyTorch."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


@contextmanager
def loading_openmp() -> Iterator[None]:
    """What is loaded inside of it waits briefly, if it is the first to load OpenMP; the environment stays as it was."""
    before = os.environ.get("GOMP_SPINCOUNT")
    wait_briefly()
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("GOMP_SPINCOUNT", None)
