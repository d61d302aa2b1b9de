/* What the kernels of decoding and of training share: functions of sixteen numbers, and the tiles of AMX.
 *
 * To be included after the pragma that says which instructions may be used.
 */

#ifndef CAROUSEL_VECTORS_H
#define CAROUSEL_VECTORS_H

#include <immintrin.h>
#include <stdint.h>

/* The instructions for minimum and maximum give their second operand if one of the two is not a number. So x stands
 * second below, and what is not a number comes out as none. */

static inline __m512 exponential(__m512 x) {
    /* 2^n times a polynomial of the rest (the best of degree 5), within 3 units in the last place; below -100 and above
     * 87 that of these. */
    x = _mm512_min_ps(_mm512_set1_ps(87.0f), _mm512_max_ps(_mm512_set1_ps(-100.0f), x));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_fmadd_ps(r, _mm512_set1_ps(0.00829171669f), _mm512_set1_ps(0.0419150285f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.166676628f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.499988991f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999999666f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.00000007f));
    return _mm512_scalef_ps(p, n);
}

/* The same to five digits, for what is summed or rounded: a polynomial of degree 4, and one subtraction for the rest.
 */
static inline __m512 rough_exponential(__m512 x) {
    x = _mm512_min_ps(_mm512_set1_ps(87.0f), _mm512_max_ps(_mm512_set1_ps(-100.0f), x));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.69314718f), x);
    __m512 p = _mm512_fmadd_ps(r, _mm512_set1_ps(0.0414170597f), _mm512_set1_ps(0.167906606f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.500048495f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999963634f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999999188f));
    return _mm512_scalef_ps(p, n);
}

/* 1 / x to the last digits, which takes half the time of a division: an estimate, and one step of Newton's. */
static inline __m512 reciprocal(__m512 x) {
    const __m512 y = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.0f)));
}

static inline __m512 sigmoid(__m512 x) {
    const __m512 power = exponential(_mm512_sub_ps(_mm512_setzero_ps(), x));
    return reciprocal(_mm512_add_ps(_mm512_set1_ps(1.0f), power));
}

static inline __m512 hyperbolic_tangent(__m512 x) {
    /* Lambert's continued fraction to its eleventh term, within 7e-7; it passes 1 at 7.62. */
    const __m512 one = _mm512_set1_ps(1.0f), most = _mm512_set1_ps(7.75f);
    x = _mm512_max_ps(_mm512_set1_ps(-7.75f), _mm512_min_ps(most, x));
    const __m512 s = _mm512_mul_ps(x, x);
    __m512 above = _mm512_add_ps(s, _mm512_set1_ps(2145.0f));
    above = _mm512_fmadd_ps(above, s, _mm512_set1_ps(675675.0f));
    above = _mm512_fmadd_ps(above, s, _mm512_set1_ps(64324260.0f));
    above = _mm512_fmadd_ps(above, s, _mm512_set1_ps(1964187225.0f));
    above = _mm512_fmadd_ps(above, s, _mm512_set1_ps(13749310575.0f));
    __m512 below = _mm512_fmadd_ps(s, _mm512_set1_ps(66.0f), _mm512_set1_ps(45045.0f));
    below = _mm512_fmadd_ps(below, s, _mm512_set1_ps(7567560.0f));
    below = _mm512_fmadd_ps(below, s, _mm512_set1_ps(413513100.0f));
    below = _mm512_fmadd_ps(below, s, _mm512_set1_ps(6547290750.0f));
    below = _mm512_fmadd_ps(below, s, _mm512_set1_ps(13749310575.0f));
    const __m512 bent = _mm512_mul_ps(_mm512_mul_ps(x, above), reciprocal(below));
    return _mm512_max_ps(_mm512_set1_ps(-1.0f), _mm512_min_ps(one, bent));
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
    __asm__ volatile("" ::"r"(&all) : "memory"); /* GCC takes it to read eight bytes */
    _tile_loadconfig(&all);
}

#endif
