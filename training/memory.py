"""Memory that is freed stays with the process: an update asks for what the one before gave back.

By default the C library hands every large block back to the system at once and gets it again as fresh pages, which the
kernel has to clear: a fifth to a third of the time of an update on two cores. A service should give memory back, so
this is training's alone.

Source: mallopt(3) of the GNU C library.
"""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # M_* of malloc.h
_LARGEST_BLOCKS = (2**30, 2**25)  # bytes; releases before 2.35 refuse more than the second


def keep_freed_memory() -> bool:
    """Asks the C library not to give freed memory back, for the whole process.

    Returns:
        Whether it will. Only GNU's is asked, and nothing is changed if it refuses.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    if not any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_BLOCKS):
        return False
    return all([mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_TOP_PAD, 2**26)])
