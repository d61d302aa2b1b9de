/* An LSTM layer over whole sequences, in bfloat16, forwards and backwards, for processors with AVX-512 BF16, and faster
 * ones with AMX.
 *
 * Called from training/kernels.py. Gates are input, forget, candidate (cell), output, as PyTorch has them. What can be
 * one product over all steps, the inputs' part of the gates and the gradients of inputs and weights, is PyTorch's; here
 * is what goes from step to step. Nothing is kept between calls, and a number's sum has one order, whatever the
 * threads. They return -1 if there is no memory, and -2 if a target is not in the vocabulary.
 *
 * In a step every thread has some of the units: it multiplies the last step's rows with its share of the weights, which
 * stays in its cache for the whole sequence, and goes on to the functions of the gates while the sums are hot. Weights
 * lie in tiles of 16 outputs and 32 inputs, two inputs of each output side by side, as both kinds of products read
 * them.
 *
 * Source: Gers et al. 2000; Werbos 1990 (backpropagation through time); Intel's Intrinsics Guide, VDPBF16PS, TDPBF16PS.
 */

#include <stdint.h>

/* Raised with every change of what a function below takes or gives: kernels.py uses no other. */
int training_interface(void) { return 1; }

#if defined(__x86_64__) && defined(__linux__)

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../translator/processor.h"

enum { NONE = 0, VECTORS = 1, AMX = 2 };

int training_level(void) {
    if (!has_wide_vectors() || !__builtin_cpu_supports("avx512bf16")) return NONE;
    return tiles_granted(AMX_BF16) ? AMX : VECTORS;
}

#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,amx-tile,amx-bf16")

#include "../translator/vectors.h"

#define OUTS 16    /* outputs of a tile of weights */
#define DEPTH 32   /* its inputs */
#define TILE 512   /* its numbers */
#define ROWS 32    /* that are multiplied at once, two tiles */
#define FEW_ROWS 8 /* of them by vectors */
#define APART 32   /* numbers between two rows, so that not all rows meet in a few lines of the cache */

typedef uint16_t bfloat;

static inline void narrow(bfloat* to, __m512 x) { _mm256_storeu_si256((__m256i*)to, (__m256i)_mm512_cvtneps_pbh(x)); }

static inline __m512 wide(const bfloat* from) { return widened(from, 0xFFFF); }

/* What is rounded to bfloat16 need not be known to seven digits: these are right to four (but not 1 less their square,
 * where that is next to nothing). */

static inline __m512 rough_sigmoid(__m512 x) {
    const __m512 power = rough_exponential(_mm512_sub_ps(_mm512_setzero_ps(), x));
    return _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0f), power));
}

static inline __m512 rough_tangent(__m512 x) {
    /* Lambert's continued fraction, which passes 1 at 4.97. */
    const __m512 one = _mm512_set1_ps(1.0f), most = _mm512_set1_ps(5.0f);
    x = _mm512_max_ps(_mm512_sub_ps(_mm512_setzero_ps(), most), _mm512_min_ps(most, x));
    const __m512 s = _mm512_mul_ps(x, x);
    __m512 above = _mm512_add_ps(s, _mm512_set1_ps(378.0f));
    above = _mm512_fmadd_ps(above, s, _mm512_set1_ps(17325.0f));
    above = _mm512_fmadd_ps(above, s, _mm512_set1_ps(135135.0f));
    __m512 below = _mm512_fmadd_ps(s, _mm512_set1_ps(28.0f), _mm512_set1_ps(3150.0f));
    below = _mm512_fmadd_ps(below, s, _mm512_set1_ps(62370.0f));
    below = _mm512_fmadd_ps(below, s, _mm512_set1_ps(135135.0f));
    const __m512 bent = _mm512_mul_ps(_mm512_mul_ps(x, above), _mm512_rcp14_ps(below));
    return _mm512_max_ps(_mm512_set1_ps(-1.0f), _mm512_min_ps(one, bent));
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* `count` rows, at most ROWS, with `tiles` columns of tiles that are `column` numbers apart: to[tile][row][16]. */
static inline __attribute__((always_inline)) void multiply_by_tiles(const bfloat* rows, int64_t stride, int64_t count,
                                                                    const bfloat* weights, int64_t column, int64_t in,
                                                                    int tiles, float (*to)[ROWS][OUTS]) {
    const int lower = count > 16;
    const int64_t bytes = stride * (int64_t)sizeof(bfloat);
    __asm__ volatile("" ::: "memory"); /* GCC does not know that a tile load reads what was written before it */
    for (int pair = 0; pair < tiles; pair += 2) {
        const bfloat *left = weights + pair * column, *right = left + column;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t i = 0; i < in; i += DEPTH, left += TILE, right += TILE) {
            _tile_loadd(4, rows + i, bytes);
            _tile_loadd(6, left, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, right, 64);
            _tile_dpbf16ps(1, 4, 7);
            if (!lower) continue;
            _tile_loadd(5, rows + 16 * stride + i, bytes);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, to[pair][0], 64);
        _tile_stored(1, to[pair + 1][0], 64);
        if (!lower) continue;
        _tile_stored(2, to[pair][16], 64);
        _tile_stored(3, to[pair + 1][16], 64);
    }
}

/* The same, two columns and FEW_ROWS rows at a time; the sums are those of the tiles, perhaps not to the last bit. */
static void multiply_by_vectors(const bfloat* rows, int64_t stride, int64_t count, const bfloat* weights,
                                int64_t column, int64_t in, int tiles, float (*to)[ROWS][OUTS]) {
    for (int pair = 0; pair < tiles; pair += 2)
        for (int64_t r = 0; r < count; r += FEW_ROWS) {
            const bfloat *left = weights + pair * column, *right = left + column;
            __m512 sums[2][FEW_ROWS];
            for (int k = 0; k < FEW_ROWS; k++) sums[0][k] = sums[1][k] = _mm512_setzero_ps();
            for (int64_t i = 0; i < in; i += 2) {
                const __m512bh first_two = (__m512bh)_mm512_loadu_si512(left + i * OUTS);
                const __m512bh second_two = (__m512bh)_mm512_loadu_si512(right + i * OUTS);
                for (int k = 0; k < FEW_ROWS; k++) {
                    int32_t two;
                    memcpy(&two, rows + (r + k) * stride + i, 4);
                    const __m512bh both = (__m512bh)_mm512_set1_epi32(two);
                    sums[0][k] = _mm512_dpbf16_ps(sums[0][k], both, first_two);
                    sums[1][k] = _mm512_dpbf16_ps(sums[1][k], both, second_two);
                }
            }
            for (int k = 0; k < FEW_ROWS; k++) {
                _mm512_storeu_ps(to[pair][r + k], sums[0][k]);
                _mm512_storeu_ps(to[pair + 1][r + k], sums[1][k]);
            }
        }
}

static void multiply(const bfloat* rows, int64_t stride, int64_t count, const bfloat* weights, int64_t column,
                     int64_t in, int tiles, float (*to)[ROWS][OUTS], int level) {
    if (level != AMX)
        multiply_by_vectors(rows, stride, count, weights, column, in, tiles, to);
    else if (tiles == 4)
        multiply_by_tiles(rows, stride, count, weights, column, in, 4, to);
    else
        multiply_by_tiles(rows, stride, count, weights, column, in, 2, to);
}

/* Lays a matrix out in tiles: to[out / 16][in / 32][in / 2 % 16][out % 16][in % 2] of matrix[out][in], or, turned, of
 * matrix[in][out]. */
static void pack(const float* matrix, int64_t out, int64_t in, int turned, bfloat* to) {
#pragma omp for schedule(static)
    for (int64_t block = 0; block < out / OUTS; block++)
        for (int64_t i = 0; i < in; i += 2) {
            bfloat* pairs = to + block * OUTS * in + i * OUTS;
            if (turned) {
                const float* even = matrix + i * out + block * OUTS;
                const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(even)));
                const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(even + out)));
                _mm512_storeu_si512(pairs, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
                continue;
            }
            float two[2][OUTS];
            for (int o = 0; o < OUTS; o++) {
                const float* from = matrix + (block * OUTS + o) * in + i;
                two[0][o] = from[0], two[1][o] = from[1];
            }
            const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(two[0])));
            const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(two[1])));
            _mm512_storeu_si512(pairs, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
}

static bfloat* room_for(int64_t count) { return aligned_alloc(64, ((size_t)count * sizeof(bfloat) + 63) / 64 * 64); }

/* Room for the states of whole groups of rows, all 0. */
static bfloat* states_for(int64_t rows, int64_t stride) {
    const int64_t count = (rows + ROWS - 1) / ROWS * ROWS * stride;
    bfloat* room = room_for(count);
    if (room) memset(room, 0, (size_t)count * sizeof(bfloat));
    return room;
}

/* ---- Forwards ---------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t batch, length, width; /* sentences, steps, units: a multiple of 32 */
    const float* recurrent;       /* [4 width][width] */
    const float* bias;            /* [4 width] */
    const bfloat* first_hidden;   /* [batch][width] */
    const float* first_cell;      /* [batch][width] */
    bfloat* gates;                /* [batch][length][4 width]; forwards: comes as what the inputs add */
    float* cells;                 /* [batch][length][width] */
    bfloat* outputs;              /* [batch][length][width] */
} Sequence;

/* A row's next state in 16 units; writes what the gates are now over what the inputs added to them. */
static inline void cell_forwards(const Sequence* layer, int64_t b, int64_t t, int64_t unit, float (*sums)[ROWS][OUTS],
                                 int64_t row, bfloat* state) {
    const int64_t at = b * layer->length + t, width = layer->width;
    bfloat* gates = layer->gates + at * 4 * width + unit;
    float* cell = layer->cells + at * width + unit;
    __m512 gate[4];
    for (int g = 0; g < 4; g++)
        gate[g] = _mm512_add_ps(_mm512_add_ps(_mm512_load_ps(sums[g][row]), wide(gates + g * width)),
                                _mm512_loadu_ps(layer->bias + g * width + unit));
    gate[0] = rough_sigmoid(gate[0]);
    gate[1] = rough_sigmoid(gate[1]);
    gate[2] = rough_tangent(gate[2]);
    gate[3] = rough_sigmoid(gate[3]);
    const __m512 before = _mm512_loadu_ps(t ? cell - width : layer->first_cell + b * width + unit);
    const __m512 now = _mm512_fmadd_ps(gate[0], gate[2], _mm512_mul_ps(gate[1], before));
    for (int g = 0; g < 4; g++) narrow(gates + g * width, gate[g]);
    _mm512_storeu_ps(cell, now);
    const __m512 hidden = _mm512_mul_ps(gate[3], rough_tangent(now));
    narrow(layer->outputs + at * width + unit, hidden);
    narrow(state + unit, hidden);
}

int training_forwards(const Sequence* layer, int level, int threads) {
    const int64_t batch = layer->batch, width = layer->width, stride = width + APART;
    bfloat* weights = room_for(4 * width * width);
    bfloat* states[2] = {states_for(batch, stride), states_for(batch, stride)};
    const int failed = !weights || !states[0] || !states[1];
    if (!failed) {
        for (int64_t b = 0; b < batch; b++)
            memcpy(states[0] + b * stride, layer->first_hidden + b * width, (size_t)width * sizeof(bfloat));
#pragma omp parallel num_threads(threads)
        {
            float sums[4][ROWS][OUTS] __attribute__((aligned(64)));
            pack(layer->recurrent, 4 * width, width, 0, weights);
            if (level == AMX) use_tiles();
            for (int64_t t = 0; t < layer->length; t++) {
                const bfloat* before = states[t % 2];
                bfloat* after = states[(t + 1) % 2];
#pragma omp for schedule(static)
                for (int64_t unit = 0; unit < width; unit += OUTS)
                    for (int64_t row = 0; row < batch; row += ROWS) {
                        const int64_t count = batch - row < ROWS ? batch - row : ROWS;
                        multiply(before + row * stride, stride, count, weights + unit * width, width * width, width, 4,
                                 sums, level);
                        for (int64_t r = 0; r < count; r++)
                            cell_forwards(layer, row + r, t, unit, sums, r, after + (row + r) * stride);
                    }
            }
            if (level == AMX) _tile_release();
        }
    }
    free(weights);
    free(states[0]);
    free(states[1]);
    return -failed;
}

/* ---- Backwards --------------------------------------------------------------------------------------------------- */

typedef struct {
    const bfloat* outputs; /* [batch][length][width] of the loss by the outputs */
    bfloat* gates;         /* [batch][length][4 width] by the gates before their functions */
    float* hidden;         /* [batch][width] by the first hidden */
    float* cell;           /* [batch][width] comes as that by the last cell, leaves as that by the first */
} Gradients;

/* A row's gradients of a step in 16 units; `from_later` is what comes back through the next step's gates. */
static inline void cell_backwards(const Sequence* layer, const Gradients* gradients, int64_t b, int64_t t, int64_t unit,
                                  __m512 from_later, bfloat* state) {
    const int64_t at = b * layer->length + t, width = layer->width;
    const bfloat* gates = layer->gates + at * 4 * width + unit;
    const float* cell = layer->cells + at * width + unit;
    float* carry = gradients->cell + b * width + unit;
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 enter = wide(gates), forget = wide(gates + width), candidate = wide(gates + 2 * width),
                 leave = wide(gates + 3 * width);
    const __m512 before = _mm512_loadu_ps(t ? cell - width : layer->first_cell + b * width + unit);
    const __m512 bent = rough_tangent(_mm512_loadu_ps(cell));
    const __m512 by_hidden = _mm512_add_ps(from_later, wide(gradients->outputs + at * width + unit));
    /* d cell = what was carried + d hidden * leave * (1 - tanh^2) */
    const __m512 by_cell =
        _mm512_fmadd_ps(_mm512_mul_ps(by_hidden, leave), _mm512_fnmadd_ps(bent, bent, one), _mm512_loadu_ps(carry));
    const __m512 by_gates[4] = {
        _mm512_mul_ps(_mm512_mul_ps(by_cell, candidate), _mm512_fnmadd_ps(enter, enter, enter)),
        _mm512_mul_ps(_mm512_mul_ps(by_cell, before), _mm512_fnmadd_ps(forget, forget, forget)),
        _mm512_mul_ps(_mm512_mul_ps(by_cell, enter), _mm512_fnmadd_ps(candidate, candidate, one)),
        _mm512_mul_ps(_mm512_mul_ps(by_hidden, bent), _mm512_fnmadd_ps(leave, leave, leave)),
    };
    _mm512_storeu_ps(carry, _mm512_mul_ps(by_cell, forget));
    for (int g = 0; g < 4; g++) {
        narrow(gradients->gates + at * 4 * width + g * width + unit, by_gates[g]);
        narrow(state + g * width + unit, by_gates[g]);
    }
}

int training_backwards(const Sequence* layer, const Gradients* gradients, int level, int threads) {
    const int64_t batch = layer->batch, width = layer->width, in = 4 * width, stride = in + APART;
    bfloat* weights = room_for(in * width);
    bfloat* states[2] = {states_for(batch, stride), states_for(batch, stride)};
    const int failed = !weights || !states[0] || !states[1];
    if (!failed) {
#pragma omp parallel num_threads(threads)
        {
            float sums[2][ROWS][OUTS] __attribute__((aligned(64)));
            pack(layer->recurrent, width, in, 1, weights);
            if (level == AMX) use_tiles();
            /* Behind the last step there are no gates: their gradients are 0. Before the first there is its state. */
            for (int64_t t = layer->length - 1; t >= -1; t--) {
                const bfloat* later = states[(t + 1) % 2];
                bfloat* these = states[(t + 2) % 2];
#pragma omp for schedule(static)
                for (int64_t unit = 0; unit < width; unit += 2 * OUTS)
                    for (int64_t row = 0; row < batch; row += ROWS) {
                        const int64_t count = batch - row < ROWS ? batch - row : ROWS;
                        multiply(later + row * stride, stride, count, weights + unit * in, OUTS * in, in, 2, sums,
                                 level);
                        for (int64_t r = 0; r < count; r++)
                            for (int64_t half = 0; half < 2; half++) {
                                const __m512 back = _mm512_load_ps(sums[half][r]);
                                const int64_t those = unit + half * OUTS;
                                if (t < 0)
                                    _mm512_storeu_ps(gradients->hidden + (row + r) * width + those, back);
                                else
                                    cell_backwards(layer, gradients, row + r, t, those, back,
                                                   these + (row + r) * stride);
                            }
                    }
            }
            if (level == AMX) _tile_release();
        }
    }
    free(weights);
    free(states[0]);
    free(states[1]);
    return -failed;
}

/* ---- What is the same for every model ---------------------------------------------------------------------------- */

#define OUT_OF_RANGE 2

/* Of each row of logits [rows][size]: the negative log-likelihood of its target, and that one's logit. Then, if wanted,
 * the row becomes its softmax, with `less` taken off the target's. */
int training_cross_entropy(bfloat* logits, int64_t rows, int64_t size, const int64_t* targets, float less,
                           int wants_gradient, float* likelihood, float* gold, int threads) {
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(max : failed)
    {
        float* powers = aligned_alloc(64, (size_t)(size + 15) / 16 * 64);
        failed = powers ? 0 : 1;
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            if (failed) continue;
            if (targets[row] < 0 || targets[row] >= size) {
                failed = OUT_OF_RANGE;
                continue;
            }
            bfloat* scored = logits + row * size;
            __m512 most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
            for (int64_t i = 0; i < size; i += 16) {
                const __mmask16 those = first(size - i);
                most = _mm512_mask_max_ps(most, those, most, widened(scored + i, those));
            }
            const float peak = _mm512_reduce_max_ps(most);
            for (int64_t i = 0; i < size; i += 16) {
                const __mmask16 those = first(size - i);
                const __m512 power = rough_exponential(_mm512_sub_ps(widened(scored + i, those), _mm512_set1_ps(peak)));
                _mm512_store_ps(powers + i, power);
                sum = _mm512_mask_add_ps(sum, those, sum, power);
            }
            const float total = _mm512_reduce_add_ps(sum);
            const uint32_t bits = (uint32_t)scored[targets[row]] << 16;
            memcpy(gold + row, &bits, sizeof(float));
            likelihood[row] = peak + logf(total) - gold[row];
            if (!wants_gradient) continue;
            const __m512 share = _mm512_set1_ps(1 / total);
            for (int64_t i = 0; i < size; i += 16) {
                const __m512 probability = _mm512_mul_ps(_mm512_load_ps(powers + i), share);
                _mm256_mask_storeu_epi16(scored + i, first(size - i), (__m256i)_mm512_cvtneps_pbh(probability));
            }
            const __m512 pulled = _mm512_set1_ps(powers[targets[row]] / total - less);
            scored[targets[row]] = (bfloat)_mm256_extract_epi16((__m256i)_mm512_cvtneps_pbh(pulled), 0);
        }
        free(powers);
    }
    return -failed;
}

/* Turns 32 rows of 16 columns: two rows make sixteen pairs, and sixteen vectors of pairs are turned by halves. */
static void turn_block(const bfloat* from, int64_t columns, bfloat* to, int64_t apart) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i++) {
        const __m256i even = _mm256_loadu_si256((const __m256i*)(from + 2 * i * columns));
        const __m256i odd = _mm256_loadu_si256((const __m256i*)(from + (2 * i + 1) * columns));
        a[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
    }
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 2; k++) {
            a[i + 2 * k] = _mm512_unpacklo_epi64(b[i + k], b[i + 2 + k]);
            a[i + 2 * k + 1] = _mm512_unpackhi_epi64(b[i + k], b[i + 2 + k]);
        }
    /* a[4 g + c]: of every fourth column from c on, the pairs 4 g to 4 g + 3. */
    for (int c = 0; c < 4; c++) {
        const __m512i low = _mm512_shuffle_i32x4(a[c], a[4 + c], 0x88),
                      high = _mm512_shuffle_i32x4(a[c], a[4 + c], 0xDD);
        const __m512i more = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0x88),
                      most = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], 0xDD);
        _mm512_storeu_si512(to + c * apart, _mm512_shuffle_i32x4(low, more, 0x88));
        _mm512_storeu_si512(to + (c + 8) * apart, _mm512_shuffle_i32x4(low, more, 0xDD));
        _mm512_storeu_si512(to + (c + 4) * apart, _mm512_shuffle_i32x4(high, most, 0x88));
        _mm512_storeu_si512(to + (c + 12) * apart, _mm512_shuffle_i32x4(high, most, 0xDD));
    }
}

/* to[column][row] = from[row][column], where the rows of the result are so far apart. */
void training_turn(const bfloat* from, int64_t rows, int64_t columns, bfloat* to, int64_t apart, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t column = 0; column < columns; column += 32)
        for (int64_t row = 0; row < rows; row += 32) {
            const int64_t right = columns - column < 32 ? columns : column + 32;
            const int64_t below = rows - row < 32 ? rows : row + 32;
            if (right - column == 32 && below - row == 32) {
                turn_block(from + row * columns + column, columns, to + column * apart + row, apart);
                turn_block(from + row * columns + column + 16, columns, to + (column + 16) * apart + row, apart);
                continue;
            }
            for (int64_t c = column; c < right; c++)
                for (int64_t r = row; r < below; r++) to[c * apart + r] = from[r * columns + c];
        }
}

#else

enum { NONE = 0 };

int training_level(void) { return NONE; }

#endif
