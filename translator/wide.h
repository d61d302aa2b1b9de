/* Sixteen numbers in one register: AVX-512. `narrow.h` has the same names for processors without it. */

#ifndef CAROUSEL_WIDE_H
#define CAROUSEL_WIDE_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512 Floats;
typedef __mmask16 Lanes; /* some of the sixteen, the first ones */

#define LEAST_POWER (-100.0f) /* below it, what `scaled` gives is no normal number; it can write it all the same */

static inline Lanes first(int64_t count) { return count >= 16 ? 0xFFFF : (Lanes)((1u << count) - 1); }

static inline Floats all_of(float x) { return _mm512_set1_ps(x); }
static inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
static inline Floats load_first(Lanes those, const float* from) { return _mm512_maskz_loadu_ps(those, from); }
static inline void store(float* to, Floats x) { _mm512_storeu_ps(to, x); }
static inline void store_first(float* to, Lanes those, Floats x) { _mm512_mask_storeu_ps(to, those, x); }

/* Numbers of bfloat16, zeros behind those asked for. */
static inline Floats widened(const uint16_t* bfloats, Lanes those) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(those, bfloats)), 16));
}

static inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
static inline Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
static inline Floats times(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
static inline Floats times_plus(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }   /* a b + c */
static inline Floats minus_times(Floats c, Floats a, Floats b) { return _mm512_fnmadd_ps(a, b, c); } /* c - a b */

/* Their second operand if one of the two is not a number. */
static inline Floats lesser(Floats a, Floats b) { return _mm512_min_ps(a, b); }
static inline Floats greater(Floats a, Floats b) { return _mm512_max_ps(a, b); }

static inline Floats rounded(Floats x) { return _mm512_roundscale_ps(x, 0); }
static inline Floats scaled(Floats x, Floats n) { return _mm512_scalef_ps(x, n); } /* x 2^n, n whole */
static inline Floats fraction(Floats x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF); } /* above the floor */
static inline Floats scaled_by_floor(Floats x, Floats n) { return _mm512_scalef_ps(x, n); }
static inline Floats rough_reciprocal(Floats x) { return _mm512_rcp14_ps(x); }

static inline float sum_of(Floats x) { return _mm512_reduce_add_ps(x); }
static inline float greatest_of(Floats x) { return _mm512_reduce_max_ps(x); }
static inline unsigned which_exceed(Floats x, Floats limit) { return _mm512_cmp_ps_mask(x, limit, _CMP_GT_OQ); }

#endif
