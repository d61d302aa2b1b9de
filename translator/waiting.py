"""How threads wait for one another.

The threads of the kernels and of PyTorch are those of GNU's OpenMP. One that waits spins for some milliseconds
before it sleeps. If the one it waits for has no core, as on a machine with other work to do, that is how long every
operation takes, and a translation many times as long as alone.
"""

import os

SPINS = "6000"  # some ten microseconds: as long as the next operation is away, and hardly longer


def wait_briefly() -> None:
    """Lets waiting threads sleep soon, unless the environment says otherwise; before a model is loaded, or PyTorch."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
