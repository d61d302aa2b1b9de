/* What a processor and its kernel allow. To be included before the pragma that says which instructions may be used. */

#ifndef CAROUSEL_PROCESSOR_H
#define CAROUSEL_PROCESSOR_H

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX_BF16 (1u << 22)
#define AMX_TILE (1u << 24)
#define AMX_INT8 (1u << 25)

/* Whether the tiles may be used for products of this kind; asks the kernel for them, once and for all threads. */
static inline int tiles_granted(unsigned kind) {
    unsigned unused = 0, features = 0;
    const unsigned wanted = AMX_TILE | kind;
    const int request_permission = 0x1023, tile_data = 18;
    if (!__get_cpuid_count(7, 0, &unused, &unused, &unused, &features)) return 0;
    return (features & wanted) == wanted && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

/* Whether the processor has AVX2 as the kernels of decoding need it. */
static inline int has_narrow_vectors(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Whether the processor has AVX-512 as every kernel here needs it. */
static inline int has_wide_vectors(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

#endif
