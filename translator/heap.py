"""Memory that was freed goes back to the system.

What is read, verified, unpacked and packed anew on the way from a file to an engine leaves tens of megabytes free
within the heap of the C library, where nobody else can have them; and so do texts of all lengths while a service runs.

Source: malloc_trim(3) of the GNU C library.
"""

import ctypes


def return_freed_memory() -> bool:
    """Asks the C library to give back what is free; takes milliseconds.

    Returns:
        Whether it gave anything back. Only GNU's is asked.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError, TypeError):
        return False
