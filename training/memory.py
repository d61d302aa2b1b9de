"""Memory that is freed stays with the process: an update asks for what the one before gave back.

By default the C library hands every large block back to the system at once and gets it again as fresh pages, which the
kernel has to clear: a fifth to a third of the time of an update on two cores. A service should give memory back, so
this is the trainer's alone.

Source: mallopt(3) of the GNU C library.
"""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # M_* of malloc.h


def keep_freed_memory() -> bool:
    """Asks the C library not to give freed memory back; returns whether it will (only GNU's is asked)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    wanted = ((_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26))
    return all([mallopt(name, value) for name, value in wanted])
