/* What the kernels of decoding and of training share: functions of sixteen numbers, and the tiles of AMX.
 *
 * To be included after the pragma that says which instructions may be used.
 */

#ifndef CAROUSEL_VECTORS_H
#define CAROUSEL_VECTORS_H

#include <immintrin.h>
#include <stdint.h>

static inline __m512 exponential(__m512 x) {
    /* 2^n times a polynomial of the rest, within 2 units in the last place; below -100 that of -100. */
    x = _mm512_max_ps(x, _mm512_set1_ps(-100.0f));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

static inline __m512 sigmoid(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(one, _mm512_add_ps(one, exponential(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

static inline __m512 hyperbolic_tangent(__m512 x) {
    /* 1 - 2 / (1 + e^2x); near 0, where that would cancel, the series. */
    const __m512 one = _mm512_set1_ps(1.0f), two = _mm512_set1_ps(2.0f);
    const __m512 far = _mm512_sub_ps(one, _mm512_div_ps(two, _mm512_add_ps(one, exponential(_mm512_mul_ps(x, two)))));
    const __m512 square = _mm512_mul_ps(x, x);
    __m512 p = _mm512_fmadd_ps(square, _mm512_set1_ps(-17.0f / 315), _mm512_set1_ps(2.0f / 15));
    p = _mm512_fmadd_ps(square, p, _mm512_set1_ps(-1.0f / 3));
    const __m512 near = _mm512_fmadd_ps(_mm512_mul_ps(x, square), p, x);
    const __mmask16 small = _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(0.125f), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(_mm512_min_ps(far, one), small, near);
}

/* The first `count` of 16 numbers. */
static inline __mmask16 first(int64_t count) { return count >= 16 ? 0xFFFF : (__mmask16)((1u << count) - 1); }

static inline __m512 widened(const uint16_t* bfloats, __mmask16 those) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(those, bfloats)), 16));
}

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileConfiguration;

static void use_tiles(void) {
    TileConfiguration all = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) all.row_bytes[tile] = 64, all.rows[tile] = 16;
    _tile_loadconfig(&all);
}

#endif
