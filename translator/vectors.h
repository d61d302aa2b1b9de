/* What the kernels of decoding and of training share: functions of sixteen numbers, and the tiles of AMX.
 *
 * To be included after the pragma that says which instructions may be used; CAROUSEL_NARROW says that they are AVX2's.
 */

#ifndef CAROUSEL_VECTORS_H
#define CAROUSEL_VECTORS_H

#ifdef CAROUSEL_NARROW
#include "narrow.h"
#else
#include "wide.h"
#endif

/* The instructions for minimum and maximum give their second operand if one of the two is not a number. So x stands
 * second below, and what is not a number comes out as none. */

static inline Floats exponential(Floats x) {
    /* 2^n times a polynomial of the rest (the best of degree 5), within 3 units in the last place; below
     * LEAST_POWER and above 87 that of these. */
    x = lesser(all_of(87.0f), greater(all_of(LEAST_POWER), x));
    const Floats n = rounded(times(x, all_of(1.44269504f)));
    Floats r = minus_times(x, n, all_of(0.693359375f));
    r = minus_times(r, n, all_of(-2.12194440e-4f));
    Floats p = times_plus(r, all_of(0.00829171669f), all_of(0.0419150285f));
    p = times_plus(p, r, all_of(0.166676628f));
    p = times_plus(p, r, all_of(0.499988991f));
    p = times_plus(p, r, all_of(0.999999666f));
    p = times_plus(p, r, all_of(1.00000007f));
    return scaled(p, n);
}

/* The same to five digits, for what is summed or rounded: a polynomial of degree 4, and one subtraction for the rest.
 */
static inline Floats rough_exponential(Floats x) {
    x = lesser(all_of(87.0f), greater(all_of(LEAST_POWER), x));
    const Floats n = rounded(times(x, all_of(1.44269504f)));
    const Floats r = minus_times(x, n, all_of(0.69314718f));
    Floats p = times_plus(r, all_of(0.0414170597f), all_of(0.167906606f));
    p = times_plus(p, r, all_of(0.500048495f));
    p = times_plus(p, r, all_of(0.999963634f));
    p = times_plus(p, r, all_of(0.999999188f));
    return scaled(p, n);
}

/* 2^x to five digits, for x of at most 0, or hardly more: a polynomial of degree 4 for what is above the floor. */
static inline Floats rough_power(Floats x) {
    x = greater(all_of(-120.0f), x); /* a normal number still */
    const Floats r = fraction(x);
    Floats p = times_plus(r, all_of(0.0135341678f), all_of(0.0520114601f));
    p = times_plus(p, r, all_of(0.241442755f));
    p = times_plus(p, r, all_of(0.693003833f));
    p = times_plus(p, r, all_of(1.00000262f));
    return scaled_by_floor(p, x);
}

/* 1 / x to the last digits, which takes half the time of a division: an estimate, and one step of Newton's. */
static inline Floats reciprocal(Floats x) {
    const Floats y = rough_reciprocal(x);
    return times(y, minus_times(all_of(2.0f), x, y));
}

static inline Floats sigmoid(Floats x) {
    const Floats power = exponential(subtract(all_of(0.0f), x));
    return reciprocal(add(all_of(1.0f), power));
}

static inline Floats hyperbolic_tangent(Floats x) {
    /* Lambert's continued fraction to its eleventh term, within 7e-7; it passes 1 at 7.62. */
    const Floats one = all_of(1.0f), most = all_of(7.75f);
    x = greater(all_of(-7.75f), lesser(most, x));
    const Floats s = times(x, x);
    Floats above = add(s, all_of(2145.0f));
    above = times_plus(above, s, all_of(675675.0f));
    above = times_plus(above, s, all_of(64324260.0f));
    above = times_plus(above, s, all_of(1964187225.0f));
    above = times_plus(above, s, all_of(13749310575.0f));
    Floats below = times_plus(s, all_of(66.0f), all_of(45045.0f));
    below = times_plus(below, s, all_of(7567560.0f));
    below = times_plus(below, s, all_of(413513100.0f));
    below = times_plus(below, s, all_of(6547290750.0f));
    below = times_plus(below, s, all_of(13749310575.0f));
    const Floats bent = times(times(x, above), reciprocal(below));
    return greater(all_of(-1.0f), lesser(one, bent));
}

#ifndef CAROUSEL_NARROW

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

#endif
