"""What an update leaves behind for the next: its memory, and its kernels.

By default the C library hands every large block back to the system at once and gets it again as fresh pages, which the
kernel has to clear: a quarter of the time of an update on two cores. A service should give memory back, so
this is training's alone.

Nor should it make its kernels anew. oneDNN compiles one for every shape of a product, which may take it ten times as
long as the product itself, and keeps 1,024: a corpus of captions has a hundred shapes of batches, each with two dozen
products.

Source: mallopt(3) of the GNU C library; oneDNN's developer guide, "Primitive Cache".
"""

import ctypes
import os

# M_* of malloc.h, and the bytes that are asked for. Blocks larger than the first are the system's again when they are
# freed; 32 MiB is the most that every release takes, and keeps the heap from being cut into pieces of all sizes.
_WANTED = {"M_MMAP_THRESHOLD": (-3, 2**25), "M_TRIM_THRESHOLD": (-1, 2**29), "M_TOP_PAD": (-2, 2**24)}

KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def keep_freed_memory() -> bool:
    """Asks the C library not to give freed memory back, for the whole process.

    Returns:
        Whether it will. Only GNU's is asked.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(name, size) for name, size in _WANTED.values()])


def keep_kernels() -> None:
    """Lets oneDNN keep as many kernels as an epoch has shapes, unless the environment says how many."""
    os.environ.setdefault(KERNELS, "8192")  # read at its first product
