/* Sixteen numbers in two registers: AVX2 and FMA. `wide.h` has the same names, and says what is not said here. */

#ifndef CAROUSEL_NARROW_H
#define CAROUSEL_NARROW_H

#include <immintrin.h>
#include <stdint.h>

typedef struct {
    __m256 low, high;
} Floats;
typedef int64_t Lanes; /* how many of the sixteen, the first ones; more are all */

#define LEAST_POWER (-87.0f) /* the exponents that `scaled` can write end there */

static inline Lanes first(int64_t count) { return count; }

static inline Floats all_of(float x) { return (Floats){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline Floats load(const float* from) { return (Floats){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }

/* Bits of all those of eight places, `from` on, that stand before `end`. */
static inline __m256i before(int64_t end, int from) {
    const __m256i places = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(from));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)end), places);
}

static inline Floats load_first(Lanes those, const float* from) {
    if (those >= 16) return load(from);
    return (Floats){_mm256_maskload_ps(from, before(those, 0)), _mm256_maskload_ps(from + 8, before(those, 8))};
}

static inline void store(float* to, Floats x) {
    _mm256_storeu_ps(to, x.low);
    _mm256_storeu_ps(to + 8, x.high);
}

static inline void store_first(float* to, Lanes those, Floats x) {
    if (those >= 16) {
        store(to, x);
        return;
    }
    _mm256_maskstore_ps(to, before(those, 0), x.low);
    _mm256_maskstore_ps(to + 8, before(those, 8), x.high);
}

static inline __m256 eight_widened(const uint16_t* bfloats) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)bfloats)), 16));
}

static inline Floats widened(const uint16_t* bfloats, Lanes those) {
    if (those >= 16) return (Floats){eight_widened(bfloats), eight_widened(bfloats + 8)};
    uint16_t some[16] = {0};
    for (int64_t i = 0; i < those; i++) some[i] = bfloats[i];
    return (Floats){eight_widened(some), eight_widened(some + 8)};
}

static inline Floats add(Floats a, Floats b) {
    return (Floats){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
static inline Floats subtract(Floats a, Floats b) {
    return (Floats){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
static inline Floats times(Floats a, Floats b) {
    return (Floats){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
static inline Floats times_plus(Floats a, Floats b, Floats c) {
    return (Floats){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
static inline Floats minus_times(Floats c, Floats a, Floats b) {
    return (Floats){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
static inline Floats lesser(Floats a, Floats b) {
    return (Floats){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
static inline Floats greater(Floats a, Floats b) {
    return (Floats){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

static inline Floats rounded(Floats x) {
    const int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return (Floats){_mm256_round_ps(x.low, nearest), _mm256_round_ps(x.high, nearest)};
}

static inline __m256 power_of_two(__m256 n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

static inline Floats scaled(Floats x, Floats n) {
    return (Floats){_mm256_mul_ps(x.low, power_of_two(n.low)), _mm256_mul_ps(x.high, power_of_two(n.high))};
}

static inline Floats floor_of(Floats x) { return (Floats){_mm256_floor_ps(x.low), _mm256_floor_ps(x.high)}; }
static inline Floats fraction(Floats x) { return subtract(x, floor_of(x)); }
static inline Floats scaled_by_floor(Floats x, Floats n) { return scaled(x, floor_of(n)); }

static inline Floats rough_reciprocal(Floats x) { return (Floats){_mm256_rcp_ps(x.low), _mm256_rcp_ps(x.high)}; }

static inline float sum_of(Floats x) {
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

static inline float greatest_of(Floats x) {
    const __m256 eight = _mm256_max_ps(x.low, x.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

static inline unsigned which_exceed(Floats x, Floats limit) {
    return (unsigned)(_mm256_movemask_ps(_mm256_cmp_ps(x.low, limit.low, _CMP_GT_OQ)) |
                      _mm256_movemask_ps(_mm256_cmp_ps(x.high, limit.high, _CMP_GT_OQ)) << 8);
}

#endif
