/* The inner loops of a decoding step, for processors with AVX-512 VNNI, and faster ones with AMX; compiled once more,
 * by kernels_avx2.c, for those with AVX2.
 *
 * Called from translator/kernels.py and, through search.h, kernel_search.py, which say what each function is for; two,
 * carousel_attend and carousel_best, by tests alone, which look at a part of a step by itself. Here is how. Nothing
 * here knows of Python; nothing is kept between calls, but by search.h; a row never sees another, so that its numbers
 * are the same to the bit whoever else is in the batch. Matrices are row-major and dense. Those that take memory return
 * -1 if there is none.
 *
 * Products are of unsigned rows (moved up by 128) with signed weights, summed exactly in 32 bits. Weights lie in blocks
 * of 16 outputs; within one, four inputs of each output side by side: what one VNNI instruction multiplies, and sixteen
 * such stretches are what one AMX tile holds. So both read the same table:
 *
 *     weights[out / 16][in / 4][out % 16][in % 4]
 *
 * AVX2 has no such instruction. There, rows are signed numbers of 16 bits, and two inputs of each output lie side by
 * side, which are widened as they are read and multiplied in pairs: the same sums again.
 *
 * Source: Intel's Intrinsics Guide, VPDPBUSD, TDPBUSD and VPMADDWD; the running sum of a softmax, Milakov & Gimelshein
 * 2018.
 */

#include <stdint.h>

/* Raised with every change of what a function or a structure below takes, or of how weights lie: kernels.py uses no
 * other. */
int carousel_interface(void) { return 6; }

#if defined(__x86_64__) && defined(__linux__)

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "processor.h"

enum { NONE = 0, VNNI = 1, AMX = 2, AVX2 = 3 };

#ifdef CAROUSEL_NARROW

int carousel_level(void) { return has_narrow_vectors() ? AVX2 : NONE; }

#pragma GCC target("avx2,fma")

#define FEW_ROWS 5 /* that are multiplied at once: a beam */
#define GROUP 35   /* rows whose inputs fit the cache */
#define TOGETHER 2 /* inputs of an output that lie side by side */
#define ZERO_POINT 0

typedef int16_t Level; /* a number of a row, rounded */
typedef int32_t __attribute__((may_alias)) TwoLevels;

#else

/* What this processor and its kernel allow; asks the latter for the tiles, once and for all threads. */
int carousel_level(void) {
    if (!has_wide_vectors() || !__builtin_cpu_supports("avx512vnni")) return NONE;
    return tiles_granted(AMX_INT8) ? AMX : VNNI;
}

#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8")

#define FEW_ROWS 8  /* that VNNI takes at once */
#define TILE_ROWS 3 /* from so many on AMX is quicker */
#define GROUP 32    /* rows that AMX takes at once */
#define TOGETHER 4
#define ZERO_POINT 128

typedef uint8_t Level;

#endif

#define OUTS 16  /* outputs in a block */
#define DEPTH 64 /* inputs in a tile; every product's inputs are filled up to a multiple of it */
#define STRETCH 16 /* blocks of outputs that all rows meet one after the other: 256 results of 32 rows fit the cache */
#define PASS 32    /* blocks that are scored before a softmax looks at them: more, and it reads from further away */
#define WORTH_A_TEAM (1 << 21) /* multiplications; with fewer, waking the others takes longer than they help */

int carousel_together(void) { return TOGETHER; }

#include "vectors.h"

typedef struct {
    const int8_t* weights; /* packed */
    const int32_t* shift;  /* [out] what moving the rows up adds to a sum */
    const float* scale;    /* [out] from sums to results */
    const float* bias;     /* [out] */
    int64_t in;            /* a multiple of DEPTH */
    int64_t out;           /* a multiple of OUTS */
    float levels;          /* what a row's number is multiplied by */
} Product;

/* Rows that may come in two parts, which belong side by side; the right one has width 0 where there is none. */
typedef struct {
    const float *left, *right; /* [rows][width] */
    int64_t left_width, right_width;
} Rows;

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* Rounds numbers to levels around the zero point; the ends hold what should not have been so large. */
static void round_to_levels(Level* to, const float* from, int64_t width, float levels) {
#ifdef CAROUSEL_NARROW
    const __m256 most = _mm256_set1_ps(127.0f), least = _mm256_set1_ps(-128.0f);
    for (int64_t i = 0; i < width; i += 16) {
        const Lanes those = first(width - i);
        const Floats x = times(load_first(those, from + i), all_of(levels));
        const __m256i low = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(x.low, most), least));
        const __m256i high = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(x.high, most), least));
        const __m256i all = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
        if (those >= 16) {
            _mm256_storeu_si256((__m256i*)(to + i), all);
        } else {
            Level some[16];
            _mm256_storeu_si256((__m256i*)some, all);
            memcpy(to + i, some, (size_t)those * sizeof(Level));
        }
    }
#else
    const __m512 middle = _mm512_set1_ps(ZERO_POINT + 0.5f);
    for (int64_t i = 0; i < width; i += 16) {
        const Lanes those = first(width - i);
        __m512 x = _mm512_fmadd_ps(load_first(those, from + i), _mm512_set1_ps(levels), middle);
        x = _mm512_min_ps(x, _mm512_set1_ps(255.0f));
        const __m512i whole = _mm512_max_epi32(_mm512_cvttps_epi32(x), _mm512_setzero_si512());
        _mm_mask_storeu_epi8(to + i, those, _mm512_cvtusepi32_epi8(whole));
    }
#endif
}

/* `count` times what weighs nothing. */
static void fill(Level* to, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = ZERO_POINT;
}

/* Rounds one row, and fills it up. */
static void quantise(Level* to, const Rows* input, int64_t row, const Product* product) {
    const int64_t left = input->left_width, right = input->right_width, width = left + right;
    round_to_levels(to, input->left + row * left, left, product->levels);
    round_to_levels(to + left, input->right + row * right, right, product->levels);
    fill(to + width, product->in - width);
}

/* Sixteen sums as what they stand for. */
#ifdef CAROUSEL_NARROW

static inline Floats result(__m256i low, __m256i high, const Product* product, int64_t out) {
    return times_plus((Floats){_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)}, load(product->scale + out),
                      load(product->bias + out));
}

/* Two inputs of a row with two of each output. By hand, and with a name for every sum: GCC would read the inputs of all
 * rows first, or keep an array of sums in memory. */
#define PAIR(r)                                                                                              \
    if (count > r) {                                                                                         \
        __m256i pair, other;                                                                                 \
        __asm__(                                                                                             \
            "vpbroadcastd %[inputs], %[pair]\n\t"                                                            \
            "vpmaddwd %[lower], %[pair], %[other]\n\t"                                                       \
            "vpmaddwd %[upper], %[pair], %[pair]\n\t"                                                        \
            "vpaddd %[other], %[low], %[low]\n\t"                                                            \
            "vpaddd %[pair], %[high], %[high]"                                                               \
            : [low] "+x"(low##r), [high] "+x"(high##r), [pair] "=&x"(pair), [other] "=&x"(other)             \
            : [inputs] "m"(*(const TwoLevels*)(rows + r * in + i)), [lower] "x"(lower), [upper] "x"(upper)); \
    }
#define STORE(r) \
    if (count > r) store(to + r * stride, result(low##r, high##r, product, block * OUTS))

/* `count` rows with one block of outputs; a constant count keeps the sums in registers. */
static inline __attribute__((always_inline)) void few(const int count, const Level* rows, const Product* product,
                                                      int64_t block, float* to, int64_t stride) {
    const int64_t in = product->in;
    const int8_t* weights = product->weights + block * OUTS * in;
    __m256i low0 = _mm256_setzero_si256(), low1 = low0, low2 = low0, low3 = low0, low4 = low0;
    __m256i high0 = low0, high1 = low0, high2 = low0, high3 = low0, high4 = low0;
    for (int64_t i = 0; i < in; i += TOGETHER) {
        const __m128i* packed = (const __m128i*)(weights + i * OUTS);
        const __m256i lower = _mm256_cvtepi8_epi16(_mm_load_si128(packed));
        const __m256i upper = _mm256_cvtepi8_epi16(_mm_load_si128(packed + 1));
        PAIR(0);
        PAIR(1);
        PAIR(2);
        PAIR(3);
        PAIR(4);
    }
    STORE(0);
    STORE(1);
    STORE(2);
    STORE(3);
    STORE(4);
}

#else

static inline Floats result(__m512i sum, __m512i shift, Floats scale, Floats bias) {
    return times_plus(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, shift)), scale, bias);
}

/* `count` rows with one block of outputs; a constant count keeps the sums in registers. */
static inline __attribute__((always_inline)) void few(const int count, const Level* rows, const Product* product,
                                                      int64_t block, float* to, int64_t stride) {
    const int8_t* weights = product->weights + block * OUTS * product->in;
    __m512i sums[FEW_ROWS];
    for (int r = 0; r < count; r++) sums[r] = _mm512_setzero_si512();
    for (int64_t i = 0; i < product->in; i += TOGETHER) {
        const __m512i these = _mm512_load_si512(weights + i * OUTS);
        for (int r = 0; r < count; r++) {
            int32_t four;
            memcpy(&four, rows + r * product->in + i, 4);
            sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_set1_epi32(four), these);
        }
    }
    const __m512i shift = _mm512_loadu_si512(product->shift + block * OUTS);
    const Floats scale = load(product->scale + block * OUTS), bias = load(product->bias + block * OUTS);
    for (int r = 0; r < count; r++) store(to + r * stride, result(sums[r], shift, scale, bias));
}

#endif

static void block_of_few(int64_t count, const Level* rows, const Product* product, int64_t block, float* to,
                         int64_t stride) {
    switch (count) {
        case 1: few(1, rows, product, block, to, stride); return;
        case 2: few(2, rows, product, block, to, stride); return;
        case 3: few(3, rows, product, block, to, stride); return;
        case 4: few(4, rows, product, block, to, stride); return;
#if FEW_ROWS > 5
        case 5: few(5, rows, product, block, to, stride); return;
        case 6: few(6, rows, product, block, to, stride); return;
        case 7: few(7, rows, product, block, to, stride); return;
#endif
        default: few(FEW_ROWS, rows, product, block, to, stride); return;
    }
}

#define LINE 64 /* bytes that come from memory together */

/* Weights that will be wanted next, and how many lines of them to fetch a step. */
typedef struct {
    const int8_t* weights;
    int lines;
} Ahead;

/* While one of several groups of rows meets `count` blocks: its share of those behind them, from `next` up to `end`. Of
 * one group the processor sees itself what comes. */
static Ahead ahead_of(const Product* product, int64_t count, int64_t next, int64_t end, int64_t row, int64_t rows) {
    const int64_t groups = (rows + GROUP - 1) / GROUP;
    if (groups == 1 || next + count > end) return (Ahead){0};
    return (Ahead){product->weights + (next * groups + row / GROUP * count) * OUTS * product->in / groups,
                   (int)(2 * OUTS * DEPTH / LINE / groups)};
}

#ifdef CAROUSEL_NARROW

/* There are no tiles. */
static int worth_tiles(int64_t rows, int level) { return 0; }
static void use_tiles(void) {}
static void release_tiles(void) {}
static void blocks_by_tiles(int64_t count, const Level* rows, const Product* product, int64_t begin, int64_t end,
                            float* to, int64_t stride, Ahead ahead) {}

#else

static int worth_tiles(int64_t rows, int level) { return level == AMX && rows >= TILE_ROWS; }
static void release_tiles(void) { _tile_release(); }

/* Sums of at most 32 rows with two blocks of outputs (or one), of which the first rows are results by now. */
typedef struct {
    int32_t sums[4][16][16] __attribute__((aligned(64))); /* by half of the rows and block */
    int64_t block, count, done;
    int both;
    float* to;
} Sums;

/* Makes results of the sums of the next `rows` rows. */
static inline void make_results(Sums* pending, int64_t rows, const Product* product, int64_t stride) {
    const int64_t end = pending->done + rows < pending->count ? pending->done + rows : pending->count;
    for (int b = 0; b <= pending->both; b++) {
        const int64_t out = (pending->block + b) * OUTS;
        const __m512i shift = _mm512_loadu_si512(product->shift + out);
        const Floats scale = load(product->scale + out), bias = load(product->bias + out);
        for (int64_t r = pending->done; r < end; r++) {
            const __m512i sum = _mm512_load_si512(pending->sums[r / 16 * 2 + b][r % 16]);
            store(pending->to + r * stride + b * OUTS, result(sum, shift, scale, bias));
        }
    }
    pending->done = end;
}

/* Blocks begin to end - 1 for at most 32 rows; `rows` has room for 32, of which `count` count. The sums of two blocks
 * become results while the tiles multiply the next two: neither waits for the other. */
static void blocks_by_tiles(int64_t count, const Level* rows, const Product* product, int64_t begin, int64_t end,
                            float* to, int64_t stride, Ahead ahead) {
    const int64_t in = product->in, share = (GROUP * DEPTH + in - 1) / in;
    const int lower = count > 16;
    Sums pending;
    pending.count = pending.done = pending.block = pending.both = 0;
    __asm__ volatile("" ::: "memory"); /* GCC does not know that a tile load reads what was written before it */
    for (int64_t block = begin; block < end; block += 2) {
        const int both = block + 1 < end;
        /* With one block left the second tiles multiply it once more, and nobody reads what they sum. */
        const int8_t *first = product->weights + block * OUTS * in, *second = both ? first + OUTS * in : first;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t i = 0; i < in; i += DEPTH) {
            _tile_loadd(4, rows + i, in);
            _tile_loadd(6, first + i * OUTS, 64);
            _tile_dpbusd(0, 4, 6);
            _tile_loadd(7, second + i * OUTS, 64);
            _tile_dpbusd(1, 4, 7);
            if (lower) {
                _tile_loadd(5, rows + 16 * in + i, in);
                _tile_dpbusd(2, 5, 6);
                _tile_dpbusd(3, 5, 7);
            }
            for (int line = 0; line < ahead.lines; line++, ahead.weights += LINE)
                __builtin_prefetch(ahead.weights, 0, 2);
            make_results(&pending, share, product, stride);
        }
        _tile_stored(0, pending.sums[0], 64);
        _tile_stored(1, pending.sums[1], 64);
        if (lower) {
            _tile_stored(2, pending.sums[2], 64);
            _tile_stored(3, pending.sums[3], 64);
        }
        pending.block = block, pending.count = count, pending.done = 0, pending.both = both;
        pending.to = to + (block - begin) * OUTS;
    }
    make_results(&pending, GROUP, product, stride);
}

#endif

/* Blocks begin to end - 1 for `count` rows, at most GROUP, into to[row][block - begin]. */
static void blocks(int64_t count, const Level* rows, const Product* product, int64_t begin, int64_t end, float* to,
                   int64_t stride, int by_tiles, Ahead ahead) {
    if (by_tiles) {
        blocks_by_tiles(count, rows, product, begin, end, to, stride, ahead);
        return;
    }
    for (int64_t r = 0; r < count; r += FEW_ROWS)
        for (int64_t block = begin; block < end; block++)
            block_of_few(count - r < FEW_ROWS ? count - r : FEW_ROWS, rows + r * product->in, product, block,
                         to + r * stride + (block - begin) * OUTS, stride);
}

/* Room for quantised rows: whole groups, so that a tile never reads past the end. */
static Level* room_for(int64_t rows, int64_t in) {
    return aligned_alloc(64, (size_t)((rows + GROUP - 1) / GROUP * GROUP * in) * sizeof(Level));
}

/* All of a team of threads call it, with the same arguments. */
static void multiply(const Rows* input, int64_t rows, const Product* product, Level* room, float* to, int level) {
    const int64_t all = product->out / OUTS, team = omp_get_num_threads();
    const int64_t even = (all + 2 * team - 1) / (2 * team) * 2; /* blocks of a thread, which go in pairs */
    const int64_t at_once = even < STRETCH ? even : STRETCH, jobs = (all + at_once - 1) / at_once;
    const int by_tiles = worth_tiles(rows, level);
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; row++) quantise(room + row * product->in, input, row, product);
    if (by_tiles) use_tiles();
#pragma omp for schedule(static)
    for (int64_t job = 0; job < jobs; job++) {
        const int64_t begin = job * at_once, end = begin + at_once < all ? begin + at_once : all;
        for (int64_t row = 0; row < rows; row += GROUP)
            blocks(rows - row < GROUP ? rows - row : GROUP, room + row * product->in, product, begin, end,
                   to + row * product->out + begin * OUTS, product->out, by_tiles,
                   ahead_of(product, end - begin, end, all, row, rows));
    }
    if (by_tiles) release_tiles();
}

/* to[rows][out] = rows @ weights + bias */
int carousel_multiply(const Rows* input, int64_t rows, const Product* product, float* to, int level, int threads) {
    Level* room = room_for(rows, product->in);
    if (!room) return -1;
#pragma omp parallel num_threads(threads) if (rows * product -> in * product->out >= WORTH_A_TEAM)
    multiply(input, rows, product, room, to, level);
    free(room);
    return 0;
}

/* ---- LSTM -------------------------------------------------------------------------------------------------------- */

/* One row's next state from its gates: input, forget, output, cell, `width` of each. */
static void cell_of(const float* gates, const float* more, const uint16_t* table, int64_t width, const float* cell,
                    float* hidden, float* next) {
    for (int64_t i = 0; i < width; i += 16) {
        const Lanes those = first(width - i);
        Floats gate[4];
        for (int g = 0; g < 4; g++) {
            gate[g] = load_first(those, gates + g * width + i);
            if (more) gate[g] = add(gate[g], load_first(those, more + g * width + i));
            if (table) gate[g] = add(gate[g], widened(table + g * width + i, those));
        }
        const Floats kept = times(sigmoid(gate[1]), load_first(those, cell + i));
        const Floats now = times_plus(sigmoid(gate[0]), hyperbolic_tangent(gate[3]), kept);
        store_first(next + i, those, now);
        store_first(hidden + i, those, times(sigmoid(gate[2]), hyperbolic_tangent(now)));
    }
}

/* One step of one layer of `width` units. What its gates add up besides is in more[row][more_stride] or, in bfloat16,
 * table[which[row]][4 width]; either may be absent. */
int carousel_lstm(const Rows* input, int64_t rows, const Product* product, int64_t width, const float* more,
                  int64_t more_stride, const uint16_t* table, const int64_t* which, const float* cell, float* hidden,
                  float* next, int level, int threads) {
    Level* room = room_for(rows, product->in);
    float* gates = aligned_alloc(64, (size_t)(rows * product->out) * sizeof(float));
    if (!room || !gates) {
        free(room);
        free(gates);
        return -1;
    }
#pragma omp parallel num_threads(threads) if (rows * product -> in * product->out >= WORTH_A_TEAM)
    {
        multiply(input, rows, product, room, gates, level);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++)
            cell_of(gates + row * product->out, more ? more + row * more_stride : 0,
                    table ? table + which[row] * 4 * width : 0, width, cell + row * width, hidden + row * width,
                    next + row * width);
    }
    free(room);
    free(gates);
    return 0;
}

/* One direction of a bidirectional layer. */
typedef struct {
    Product inputs, recurrent;
} Direction;

/* A layer's sentences. */
typedef struct {
    int64_t batch, length, in_width, width; /* sentences, positions, numbers of an input, units of a direction */
    const float* inputs;                    /* [batch][length][in_width] */
    const int64_t* lengths;                 /* [batch] */
    const int64_t* order;                   /* [batch] the sentences, the longest first */
    int64_t residual;                       /* whether outputs have the inputs added, which then are as wide */
    float* outputs;                         /* [batch][length][2][width], 0 behind a sentence */
    float* summary;                         /* [batch][2][width], each direction's last output */
} Layer;

/* Room for what one thread works on. */
typedef struct {
    Level *inputs, *states;               /* quantised, of GROUP rows */
    float *gates, *sums, *cells, *hidden; /* [GROUP][4 width], likewise, [GROUP][width], [width] */
} Desk;

static int64_t live_at(int64_t step, const Layer* layer, const int64_t* those, int64_t count) {
    while (count > 0 && layer->lengths[those[count - 1]] <= step) count--;
    return count;
}

/* Reads at most GROUP sentences in one direction: who is at its end leaves, which are always the last ones. Of few
 * sentences the inputs of several steps are multiplied together. */
static void read_group(const Layer* layer, const Direction* direction, int side, const int64_t* those, int64_t count,
                       const Desk* desk, int level) {
    const Product *inputs = &direction->inputs, *recurrent = &direction->recurrent;
    const int64_t width = layer->width, longest = layer->lengths[those[0]], ahead = GROUP / count;
    fill(desk->states, count * recurrent->in);
    memset(desk->cells, 0, (size_t)(count * width) * sizeof(float));
    if (level == AMX) use_tiles();
    for (int64_t start = 0; start < longest; start += ahead) {
        const int64_t end = start + ahead < longest ? start + ahead : longest;
        int64_t read = 0, used = 0;
        for (int64_t t = start; t < end; t++)
            for (int64_t r = 0, live = live_at(t, layer, those, count); r < live; r++, read++) {
                const int64_t b = those[r], at = b * layer->length + (side ? layer->lengths[b] - 1 - t : t);
                const Rows row = {layer->inputs + at * layer->in_width, layer->inputs, layer->in_width, 0};
                quantise(desk->inputs + read * inputs->in, &row, 0, inputs);
            }
        blocks(read, desk->inputs, inputs, 0, inputs->out / OUTS, desk->gates, inputs->out, worth_tiles(read, level),
               (Ahead){0});
        for (int64_t t = start; t < end; t++) {
            const int64_t live = live_at(t, layer, those, count);
            blocks(live, desk->states, recurrent, 0, recurrent->out / OUTS, desk->sums, recurrent->out,
                   worth_tiles(live, level), (Ahead){0});
            for (int64_t r = 0; r < live; r++, used++) {
                const int64_t b = those[r], at = b * layer->length + (side ? layer->lengths[b] - 1 - t : t);
                float *to = layer->outputs + (at * 2 + side) * width, *cell = desk->cells + r * width;
                cell_of(desk->sums + r * recurrent->out, desk->gates + used * inputs->out, 0, width, cell, desk->hidden,
                        cell);
                round_to_levels(desk->states + r * recurrent->in, desk->hidden, width, recurrent->levels);
                const float* below = layer->inputs + at * layer->in_width + side * width;
                for (int64_t i = 0; i < width; i++) to[i] = desk->hidden[i] + (layer->residual ? below[i] : 0);
                if (t == layer->lengths[b] - 1)
                    memcpy(layer->summary + (b * 2 + side) * width, desk->hidden, (size_t)width * sizeof(float));
            }
        }
    }
    if (level == AMX) release_tiles();
}

/* One bidirectional layer over whole sentences, which need not be of one length, each direction from a state of zeros.
 */
int carousel_read(const Layer* layer, const Direction* forwards, const Direction* backwards, int level, int threads) {
    const int64_t groups = (layer->batch + GROUP - 1) / GROUP, width = layer->width;
    int failed = 0;
    memset(layer->outputs, 0, (size_t)(layer->batch * layer->length * 2 * width) * sizeof(float));
    /* No thread waits for another: each has a direction and some of the sentences. */
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) reduction(| : failed)
    for (int64_t job = 0; job < 2 * groups; job++) {
        const Direction* direction = job % 2 ? backwards : forwards;
        const int64_t begin = job / 2 * GROUP, left = layer->batch - begin;
        const Desk desk = {
            room_for(GROUP, direction->inputs.in),
            room_for(GROUP, direction->recurrent.in),
            malloc((size_t)(GROUP * direction->inputs.out) * sizeof(float)),
            malloc((size_t)(GROUP * direction->recurrent.out) * sizeof(float)),
            malloc((size_t)(GROUP * width) * sizeof(float)),
            malloc((size_t)width * sizeof(float)),
        };
        if (desk.inputs && desk.states && desk.gates && desk.sums && desk.cells && desk.hidden)
            read_group(layer, direction, job % 2, layer->order + begin, left < GROUP ? left : GROUP, &desk, level);
        else
            failed = 1;
        free(desk.inputs);
        free(desk.states);
        free(desk.gates);
        free(desk.sums);
        free(desk.cells);
        free(desk.hidden);
    }
    return -failed;
}

/* to[rows][width] = the hyperbolic tangent of left, or of left + right, whose rows are so far apart. */
void carousel_tanh(int64_t rows, int64_t width, const float* left, int64_t left_stride, const float* right,
                   int64_t right_stride, float* to, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * width > 1 << 14)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < width; i += 16) {
            const Lanes those = first(width - i);
            Floats x = load_first(those, left + row * left_stride + i);
            if (right) x = add(x, load_first(those, right + row * right_stride + i));
            store_first(to + row * width + i, those, hyperbolic_tangent(x));
        }
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* to[count][width] = the rows of a table in bfloat16 that these ids name */
void carousel_embed(int64_t count, const int64_t* ids, const uint16_t* table, int64_t width, float* to) {
    for (int64_t row = 0; row < count; row++)
        for (int64_t i = 0; i < width; i += 16) {
            const Lanes those = first(width - i);
            store_first(to + row * width + i, those, widened(table + ids[row] * width + i, those));
        }
}

static uint16_t rounded_to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* What source positions add to a context, rounded to bfloat16: to[row][head][width] = parts[head][row], rows of which
 * are so far apart. `own`, if there is any, adds `own_width` numbers to the last ones, an even share through each head.
 */
void carousel_join_values(int64_t rows, int64_t heads, int64_t width, int64_t apart, const float* const* parts,
                          int64_t own_width, int64_t own_apart, const float* own, uint16_t* to, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * heads * width > 1 << 14)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t head = 0; head < heads; head++) {
            const float *from = parts[head] + row * apart, *more = own + row * own_apart;
            uint16_t* there = to + (row * heads + head) * width;
            const int64_t plain = own ? width - own_width : width;
            for (int64_t i = 0; i < plain; i++) there[i] = rounded_to_bfloat16(from[i]);
            for (int64_t i = plain; i < width; i++)
                there[i] = rounded_to_bfloat16(from[i] + more[i - plain] / (float)heads);
        }
}

/* ---- Attention --------------------------------------------------------------------------------------------------- */

enum { ROWS_TOGETHER = 4, POSITIONS_TOGETHER = 4, VECTORS_TOGETHER = 4 };
#ifdef CAROUSEL_NARROW
#define HALVES 2 /* registers that sixteen numbers take, of half as many */
#else
#define HALVES 1
#endif

/* What each token would have been scored, had the readout seen one source position alone:
 *     to[b][t][s] = tanh(states[b][t] + sources[b][s]) . written[b][t] */
void carousel_origins(int64_t batch, int64_t tokens, int64_t length, int64_t width, const float* states,
                      const float* sources, const float* written, float* to, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static) if (batch * tokens * length * width > 1 << 16)
    for (int64_t at = 0; at < batch * tokens; at++)
        for (int64_t s = 0; s < length; s++) {
            const float *state = states + at * width, *token = written + at * width;
            const float* source = sources + (at / tokens * length + s) * width;
            Floats sum = all_of(0.0f);
            for (int64_t i = 0; i < width; i += 16) {
                const Lanes those = first(width - i);
                const Floats x = add(load_first(those, state + i), load_first(those, source + i));
                sum = times_plus(hyperbolic_tangent(x), load_first(those, token + i), sum);
            }
            to[at * length + s] = sum_of(sum);
        }
}

/* Turns scores into shares; `length` of them. */
static void softmax(float* scores, int64_t length) {
    float most = -INFINITY, sum = 0;
    for (int64_t s = 0; s < length; s++) most = scores[s] > most ? scores[s] : most;
    for (int64_t s = 0; s < length; s++) sum += scores[s] = expf(scores[s] - most);
    for (int64_t s = 0; s < length; s++) scores[s] /= sum;
}

/* What some rows score some positions, each sum by itself: a constant number of either keeps the sums in registers, and
 * what was read of a position serves all rows. */
static inline __attribute__((always_inline)) void score(const int rows, const int positions, const float* asked,
                                                        int64_t asked_apart, const float* keys, int64_t keys_apart,
                                                        int64_t width, float* to, int64_t apart) {
    Floats sums[ROWS_TOGETHER][POSITIONS_TOGETHER];
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < positions; p++) sums[r][p] = all_of(0.0f);
    for (int64_t i = 0; i < width; i += 16) {
        const Lanes those = first(width - i);
        Floats key[POSITIONS_TOGETHER];
        for (int p = 0; p < positions; p++) key[p] = load_first(those, keys + p * keys_apart + i);
        for (int r = 0; r < rows; r++) {
            const Floats query = load_first(those, asked + r * asked_apart + i);
            for (int p = 0; p < positions; p++) sums[r][p] = times_plus(query, key[p], sums[r][p]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < positions; p++) to[r * apart + p] = sum_of(sums[r][p]);
}

/* Adds what some rows see of the positions to some numbers of their contexts, sixteen at a time. */
static inline __attribute__((always_inline)) void gather_context(const int rows, const int vectors, Lanes those,
                                                                 const float* shares, int64_t shares_apart,
                                                                 const uint16_t* values, int64_t values_apart,
                                                                 int64_t length, float* context, int64_t apart) {
    Floats totals[ROWS_TOGETHER][VECTORS_TOGETHER];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) totals[r][v] = load_first(those, context + r * apart + v * 16);
    for (int64_t s = 0; s < length; s++)
        for (int v = 0; v < vectors; v++) {
            const Floats value = widened(values + s * values_apart + v * 16, those);
            for (int r = 0; r < rows; r++)
                totals[r][v] = times_plus(all_of(shares[r * shares_apart + s]), value, totals[r][v]);
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) store_first(context + r * apart + v * 16, those, totals[r][v]);
}

/* Rows of one sentence: what they ask, and where their contexts and weights go, each so far apart. */
typedef struct {
    const float* asked;
    float *context, *weights, *shares; /* [length] of each row */
    int64_t asked_apart, context_apart, weights_apart;
} Askers;

static inline __attribute__((always_inline)) void attend_together(const int rows, const int positions,
                                                                  const int vectors, const Askers* those,
                                                                  const float* keys, const uint16_t* values,
                                                                  int64_t length, int64_t heads, int64_t key_width,
                                                                  int64_t value_width) {
    for (int r = 0; r < rows; r++) {
        memset(those->context + r * those->context_apart, 0, (size_t)value_width * sizeof(float));
        memset(those->weights + r * those->weights_apart, 0, (size_t)length * sizeof(float));
    }
    for (int64_t head = 0; head < heads; head++) {
        const float *key = keys + head * key_width, *asked = those->asked + head * key_width;
        const uint16_t* value = values + head * value_width;
        const int64_t keys_apart = heads * key_width, values_apart = heads * value_width;
        int64_t s = 0, i = 0;
        for (; s + positions <= length; s += positions)
            score(rows, positions, asked, those->asked_apart, key + s * keys_apart, keys_apart, key_width,
                  those->shares + s, length);
        for (; s < length; s++)
            score(rows, 1, asked, those->asked_apart, key + s * keys_apart, keys_apart, key_width, those->shares + s,
                  length);
        for (int r = 0; r < rows; r++) {
            float *shares = those->shares + r * length, *weights = those->weights + r * those->weights_apart;
            softmax(shares, length);
            for (s = 0; s < length; s++) weights[s] += shares[s] / heads;
        }
        for (; i + 16 * vectors <= value_width; i += 16 * vectors)
            gather_context(rows, vectors, first(16), those->shares, length, value + i, values_apart, length,
                           those->context + i, those->context_apart);
        for (; i < value_width; i += 16)
            gather_context(rows, 1, first(value_width - i), those->shares, length, value + i, values_apart, length,
                           those->context + i, those->context_apart);
    }
}

/* Rows of one sentence ask its `length` positions:
 *     context = sum over heads and positions of share * values; weights[length] = mean over heads of the shares
 * What a row is told does not depend on who asks with it. `shares` has room for ROWS_TOGETHER rows. */
static void attend(int64_t rows, Askers those, const float* keys, const uint16_t* values, int64_t length, int64_t heads,
                   int64_t key_width, int64_t value_width) {
    while (rows > 0) {
        const int64_t now = rows < ROWS_TOGETHER ? rows : ROWS_TOGETHER;
#define ATTEND(rows, positions, vectors) \
    attend_together(rows, positions, vectors, &those, keys, values, length, heads, key_width, value_width)
        switch (now) {
            case 1: ATTEND(1, 4 / HALVES, 4); break;
            case 2: ATTEND(2, 2, 4 / HALVES); break;
            case 3: ATTEND(3, 2 / HALVES, 2 / HALVES); break;
            default: ATTEND(4, 2 / HALVES, 2 / HALVES); break;
        }
#undef ATTEND
        those.asked += now * those.asked_apart;
        those.context += now * those.context_apart;
        those.weights += now * those.weights_apart;
        rows -= now;
    }
}

/* `attend` for rows of several sentences; weights are 0 on padding.
 *
 * keys [sentences][length][heads][key_width] · values in bfloat16 [sentences][length][heads][value_width] · padding
 * [sentences][length] · places[row] is k + beam_size * b for a row of sentence b.
 */
int carousel_attend(const float* queries, int64_t rows, const int64_t* places, int64_t beam_size, const float* keys,
                    const uint16_t* values, const uint8_t* padding, int64_t length, int64_t heads, int64_t key_width,
                    int64_t value_width, float* context, float* weights, int threads) {
    memset(weights, 0, (size_t)(rows * length) * sizeof(float));
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed) if (rows * length * value_width >= WORTH_A_TEAM / 4)
    {
        float* shares = malloc((size_t)length * sizeof(float));
        failed |= !shares;
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t sentence = places[row] / beam_size;
            const uint8_t* absent = padding + sentence * length;
            int64_t real = length; /* padding lies behind the tokens */
            while (real > 0 && absent[real - 1]) real--;
            const Askers one = {queries + row * heads * key_width, context + row * value_width, weights + row * length,
                                shares, 0, 0, 0};
            if (shares)
                attend(1, one, keys + sentence * length * heads * key_width,
                       values + sentence * length * heads * value_width, real, heads, key_width, value_width);
        }
        free(shares);
    }
    return -failed;
}

/* ---- What comes next --------------------------------------------------------------------------------------------- */

/* The best of what one thread has seen for one row, and the softmax's sum so far. */
typedef struct {
    float most, sum;
    float* logits; /* [wanted] best first; of equal ones the lower id */
    int64_t* ids;
    int64_t wanted;
} Running;

static void insert(Running* best, float logit, int64_t id) {
    int64_t at = best->wanted - 1;
    if (!(logit > best->logits[at])) return;
    for (; at > 0 && logit > best->logits[at - 1]; at--) {
        best->logits[at] = best->logits[at - 1];
        best->ids[at] = best->ids[at - 1];
    }
    best->logits[at] = logit;
    best->ids[at] = id;
}

/* Takes `count` logits in, those of the ids from `start` on; `open` has a bit for each that may be chosen, or is none.
 */
static void take(Running* row, const float* logits, int64_t count, int64_t start, const uint16_t* open) {
    Floats most = all_of(-INFINITY);
    for (int64_t i = 0; i < count; i += 16) most = greater(most, load(logits + i));
    const float here = greatest_of(most), now = here > row->most ? here : row->most, log2_e = 1.44269504f;
    Floats sum = all_of(0.0f);
    for (int64_t i = 0; i < count; i += 16)
        sum = add(sum, rough_power(times_plus(load(logits + i), all_of(log2_e), all_of(-now * log2_e))));
    for (int64_t i = 0; i < count && here > row->logits[row->wanted - 1]; i += 16) {
        unsigned better = which_exceed(load(logits + i), all_of(row->logits[row->wanted - 1]));
        for (better &= open ? open[i / 16] : 0xFFFF; better; better &= better - 1) {
            const int64_t at = i + __builtin_ctz(better);
            insert(row, logits[at], start + at);
        }
    }
    const float before = row->most == now ? row->sum : row->most > -INFINITY ? row->sum * expf(row->most - now) : 0;
    row->sum = before + sum_of(sum);
    row->most = now;
}

/* Room for what has been seen of rows, in so many parts: running[part * rows + row]; none if there is no memory. */
static Running* new_running(int64_t parts, int64_t rows, int64_t wanted) {
    const size_t all = (size_t)(parts * rows), places = all * (size_t)wanted;
    Running* running = malloc(all * sizeof(Running) + places * (sizeof(int64_t) + sizeof(float)));
    if (!running) return NULL;
    int64_t* ids = (int64_t*)(running + all);
    float* logits = (float*)(ids + places);
    for (size_t i = 0; i < places; i++) logits[i] = -INFINITY, ids[i] = 0;
    for (size_t i = 0; i < all; i++)
        running[i] = (Running){-INFINITY, 0, logits + i * (size_t)wanted, ids + i * (size_t)wanted, wanted};
    return running;
}

/* Scores all outputs for rows that are quantised already; each of the threads sees a stretch of the outputs, whose
 * weights it alone reads, and has a part of `running`. `logits` has room for GROUP * PASS * OUTS numbers of each. */
static void take_all(Running* running, int64_t rows, const Level* room, const Product* product, const uint16_t* open,
                     float* logits, int level, int threads) {
    const int64_t all = product->out / OUTS, passes = (all + PASS - 1) / PASS;
    const int by_tiles = worth_tiles(rows, level);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int64_t thread = 0; thread < threads; thread++) {
        float* here = logits + thread * GROUP * PASS * OUTS;
        if (by_tiles) use_tiles();
        const int64_t last = passes * (thread + 1) / threads;
        for (int64_t pass = passes * thread / threads; pass < last; pass++) {
            const int64_t begin = pass * PASS, end = begin + PASS < all ? begin + PASS : all,
                          width = (end - begin) * OUTS;
            for (int64_t row = 0; row < rows; row += GROUP) {
                const int64_t count = rows - row < GROUP ? rows - row : GROUP;
                blocks(count, room + row * product->in, product, begin, end, here, width, by_tiles,
                       ahead_of(product, end - begin, end, last * PASS, row, rows));
                for (int64_t r = 0; r < count; r++)
                    take(running + thread * rows + row + r, here + r * width, width, begin * OUTS,
                         open ? open + begin : NULL);
            }
        }
        if (by_tiles) release_tiles();
    }
}

/* Joins the parts of one row: the best ids and their log-probabilities, best first, -inf and 0 where there are fewer;
 * returns the logarithm of the softmax's sum. */
static float conclude(const Running* running, int64_t parts, int64_t rows, int64_t row, int64_t wanted,
                      float* log_probs, int64_t* ids) {
    Running whole = {-INFINITY, 0, log_probs, ids, wanted};
    for (int64_t i = 0; i < wanted; i++) log_probs[i] = -INFINITY, ids[i] = 0;
    for (int64_t part = 0; part < parts; part++) whole.most = fmaxf(whole.most, running[part * rows + row].most);
    for (int64_t part = 0; part < parts; part++) {
        const Running* seen = running + part * rows + row;
        if (seen->most > -INFINITY) whole.sum += seen->sum * expf(seen->most - whole.most);
        for (int64_t i = 0; i < wanted && seen->logits[i] > -INFINITY; i++)
            insert(&whole, seen->logits[i], seen->ids[i]);
    }
    const float total = whole.most + logf(whole.sum);
    for (int64_t i = 0; i < wanted; i++) log_probs[i] = isfinite(total) ? fminf(log_probs[i] - total, 0.0f) : -INFINITY;
    return total;
}

/* The best next tokens of each row and their log-probabilities, of a softmax over all outputs.
 *
 * log_probs, ids [rows][wanted], best first, -inf and 0 where there are fewer · open[out / 16] has a bit for each
 * output that may be chosen; the others only count in the sum.
 */
int carousel_best(const Rows* input, int64_t rows, const Product* product, const uint16_t* open, int64_t wanted,
                  float* log_probs, int64_t* ids, int level, int threads) {
    const int64_t passes = (product->out / OUTS + PASS - 1) / PASS;
    threads = threads < passes ? threads : (int)passes;
    Level* room = room_for(rows, product->in);
    float* logits = aligned_alloc(64, (size_t)(threads * GROUP * PASS * OUTS) * sizeof(float));
    Running* running = new_running(threads, rows, wanted);
    const int failed = !room || !logits || !running;
    if (!failed) {
        for (int64_t row = 0; row < rows; row++) quantise(room + row * product->in, input, row, product);
        take_all(running, rows, room, product, open, logits, level, threads);
        for (int64_t row = 0; row < rows; row++)
            conclude(running, threads, rows, row, wanted, log_probs + row * wanted, ids + row * wanted);
    }
    free(room);
    free(logits);
    free(running);
    return -failed;
}

#include "search.h"

#else

int carousel_level(void) { return 0; }

#endif
