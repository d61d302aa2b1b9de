/* The kernels of decoding once more, for processors that have AVX2 and not AVX-512 VNNI. */

#define CAROUSEL_NARROW

#include "kernels.c"
