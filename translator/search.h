/* Beam search over the kernels: one call writes a token of every live sentence. To be included by kernels.c.
 *
 * Of each sentence it does what `beam_search.py` does, which is there to be read, and is tested to give the same: what
 * the rules are and where they come from is said there, and `kernel_search.py` says what is given and taken here. Where
 * there are many sentences that file's arrays become loops over one sentence's beam.
 *
 * A search keeps what it was told of its sentences, and is freed as a whole. Rows lie in the order of their sentences,
 * those of one in the order of their likelihood.
 */

#include "search_state.h"

/* ---- Coming and going -------------------------------------------------------------------------------------------- */

/* A search without sentences, or none if there is no memory. */
Search* carousel_search_new(const Decoder* decoder, const Options* options) {
    Search* search = calloc(1, sizeof *search);
    if (!search) return NULL;
    search->decoder = *decoder;
    search->options = *options;
    States* both[] = {&search->now, &search->next};
    for (int which = 0; which < 2; which++) {
        both[which]->hidden = calloc((size_t)decoder->layers, sizeof(float*));
        both[which]->cell = calloc((size_t)decoder->layers, sizeof(float*));
    }
    if (search->now.hidden && search->now.cell && search->next.hidden && search->next.cell) return search;
    carousel_search_free(search);
    return NULL;
}

/* The outputs of these ids as a product of their own; one piece of memory, which begins with the weights. */
static int gather(const Product* whole, const int64_t* ids, int64_t count, Product* own) {
    const int64_t in = whole->in, out = (count + OUTS - 1) / OUTS * OUTS;
    const size_t weights = (size_t)(out * in), numbers = (size_t)out * sizeof(float);
    char* room = aligned_alloc(64, (weights + 3 * numbers + 63) / 64 * 64);
    if (!room) return 0;
    memset(room, 0, weights + 3 * numbers);
    int8_t* to = (int8_t*)room;
    int32_t* shift = (int32_t*)(room + weights);
    float *scale = (float*)(shift + out), *bias = scale + out;
    for (int64_t n = 0; n < out; n++) {
        bias[n] = -INFINITY; /* what fills it up is never chosen */
        if (n >= count) continue;
        const int64_t id = ids[n];
        const int8_t* from = whole->weights + id / OUTS * OUTS * in + id % OUTS * TOGETHER;
        int8_t* place = to + n / OUTS * OUTS * in + n % OUTS * TOGETHER;
        for (int64_t i = 0; i < in * OUTS; i += OUTS * TOGETHER) memcpy(place + i, from + i, TOGETHER);
        shift[n] = whole->shift[id];
        scale[n] = whole->scale[id];
        bias[n] = whole->bias[id];
    }
    *own = (Product){to, shift, scale, bias, in, out, whole->levels};
    return 1;
}

static Sentence* new_sentence(const Search* search, const int64_t* facts, const int64_t* own_ids, const int64_t* given,
                              const float* keys, const uint16_t* values) {
    const Decoder* decoder = &search->decoder;
    const size_t beam = (size_t)search->options.beam_size, most = (size_t)search->options.most;
    Sentence* sentence = calloc(1, sizeof *sentence);
    if (!sentence) return NULL;
    memcpy(sentence, facts, 7 * sizeof(int64_t));
    const size_t length = (size_t)sentence->length, longest = (size_t)sentence->longest;
    const size_t key_count = length * (size_t)(decoder->heads * decoder->key_width);
    const size_t value_count = length * (size_t)(decoder->heads * decoder->value_width);
    const int covers = search->options.coverage != 0;
    sentence->keys = malloc(key_count * sizeof(float));
    sentence->values = malloc(value_count * sizeof(uint16_t));
    sentence->log_probs = calloc(beam, sizeof(float));
    sentence->written = malloc(beam * longest * sizeof(int32_t));
    sentence->rewritten = malloc(beam * longest * sizeof(int32_t));
    sentence->covered = covers ? calloc(beam * length, sizeof(float)) : NULL;
    sentence->recovered = covers ? calloc(beam * length, sizeof(float)) : NULL;
    sentence->scores = malloc(most * sizeof(float));
    sentence->ends = malloc(most * sizeof(float));
    sentence->lengths = malloc(most * sizeof(int64_t));
    sentence->lasts = malloc(most * sizeof(int64_t));
    sentence->parents = calloc(beam, sizeof(int64_t));
    sentence->steps = calloc(longest, sizeof(Step));
    const size_t owns = (size_t)sentence->owns;
    sentence->own_ids = malloc((owns ? owns : 1) * sizeof(int64_t));
    sentence->given = given ? malloc(longest * sizeof(int64_t)) : NULL;
    if (!sentence->keys || !sentence->values || !sentence->log_probs || !sentence->written || !sentence->rewritten ||
        (covers && (!sentence->covered || !sentence->recovered)) || !sentence->scores || !sentence->ends ||
        !sentence->lengths || !sentence->lasts || !sentence->parents || !sentence->steps || !sentence->own_ids ||
        (given && !sentence->given) ||
        (owns && !gather(decoder->output, own_ids, sentence->owns, &sentence->own))) {
        free_sentence(sentence);
        return NULL;
    }
    memcpy(sentence->own_ids, own_ids, owns * sizeof(int64_t));
    if (given) memcpy(sentence->given, given, longest * sizeof(int64_t));
    memcpy(sentence->keys, keys, key_count * sizeof(float));
    memcpy(sentence->values, values, value_count * sizeof(uint16_t));
    for (size_t i = 0; i < most; i++) sentence->scores[i] = -INFINITY;
    sentence->rows = 1;
    return sentence;
}

/* Takes sentences in, each with one row; all of them or, if there is no memory, none.
 *
 * facts [count][7]: ticket, source length, most tokens of a hypothesis, hypotheses wanted, whether it says something
 * again, which list it chooses from or -1 for all that may be chosen, and how many tokens besides · own_ids: these, of
 * all sentences · given: what they are to say, to the last token that they may say, of all sentences; or none · keys
 * [count][length][heads][key_width] · values in bfloat16 [count][length][heads][value_width] · hidden, cell
 * [layers][count][width]
 */
int carousel_search_admit(Search* search, int64_t count, const int64_t* facts, const int64_t* own_ids,
                          const int64_t* given, int64_t length, const float* keys, const uint16_t* values,
                          const float* hidden, const float* cell) {
    const Decoder* decoder = &search->decoder;
    const int64_t all = search->sentences + count, width = decoder->width;
    if (all > search->room) {
        const int64_t room = all > 2 * search->room ? all : 2 * search->room;
        Sentence** live = realloc(search->live, (size_t)room * sizeof *live);
        if (live) search->live = live;
        Sentence** ended = realloc(search->ended, (size_t)room * sizeof *ended);
        if (ended) search->ended = ended;
        if (!live || !ended) return -1;
        search->room = room;
    }
    if (!reserve(search, all)) return -1;
    for (int64_t i = 0; i < count; i++) {
        Sentence* sentence =
            new_sentence(search, facts + i * 7, own_ids, given, keys + i * length * decoder->heads * decoder->key_width,
                         values + i * length * decoder->heads * decoder->value_width);
        if (!sentence) {
            while (i-- > 0) free_sentence(search->live[search->sentences + i]);
            return -1;
        }
        search->live[search->sentences + i] = sentence;
        own_ids += sentence->owns;
        if (given) given += sentence->longest;
    }
    for (int64_t layer = 0; layer < decoder->layers; layer++) {
        const int64_t from = layer * count * width, to = search->rows * width;
        memcpy(search->now.hidden[layer] + to, hidden + from, (size_t)(count * width) * sizeof(float));
        memcpy(search->now.cell[layer] + to, cell + from, (size_t)(count * width) * sizeof(float));
    }
    for (int64_t i = 0; i < count; i++) search->tokens[search->rows + i] = search->options.bos;
    search->sentences = all;
    search->rows += count;
    return 0;
}

/* Forgets a sentence; one that is not there is ignored. */
void carousel_search_cancel(Search* search, int64_t ticket) {
    const Decoder* decoder = &search->decoder;
    for (int64_t i = 0, row = 0; i < search->sentences; row += search->live[i++]->rows) {
        if (search->live[i]->ticket != ticket) continue;
        const int64_t gone = search->live[i]->rows, behind = search->rows - row - gone, width = decoder->width;
        for (int64_t part = 0; part < 2 * decoder->layers; part++) {
            float* from = part < decoder->layers ? search->now.hidden[part] : search->now.cell[part - decoder->layers];
            memmove(from + row * width, from + (row + gone) * width, (size_t)(behind * width) * sizeof(float));
        }
        memmove(search->tokens + row, search->tokens + row + gone, (size_t)behind * sizeof(int64_t));
        free_sentence(search->live[i]);
        memmove(search->live + i, search->live + i + 1, (size_t)(--search->sentences - i) * sizeof(Sentence*));
        search->rows -= gone;
        return;
    }
}

#include "search_step.h"

#include "search_choice.h"

/* ---- A step of the search ---------------------------------------------------------------------------------------- */

/* The sentences that are done leave; rows are brought in order. */
static void settle(Search* search, int threads) {
    const Decoder* decoder = &search->decoder;
    const int64_t width = decoder->width;
    int64_t kept = 0, rows = 0;
    for (int64_t i = 0; i < search->sentences; i++) {
        Sentence* sentence = search->live[i];
        if (sentence->done) {
            search->ended[search->endings++] = sentence;
            continue;
        }
        search->live[kept++] = sentence;
        for (int64_t k = 0; k < sentence->rows; k++) sentence->parents[k] += search->origins[i]; /* its first row */
    }
    search->sentences = kept;
    for (int64_t i = 0; i < kept; i++) {
        const Sentence* sentence = search->live[i];
        for (int64_t k = 0; k < sentence->rows; k++, rows++) {
            search->origins[rows] = sentence->parents[k];
            search->tokens[rows] = sentence->written[k * sentence->longest + sentence->age - 1];
        }
    }
    search->rows = rows;
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * width >= 1 << 15)
    for (int64_t row = 0; row < rows; row++)
        for (int64_t layer = 0; layer < decoder->layers; layer++) {
            const int64_t from = search->origins[row] * width;
            memcpy(search->now.hidden[layer] + row * width, search->next.hidden[layer] + from,
                   (size_t)width * sizeof(float));
            memcpy(search->now.cell[layer] + row * width, search->next.cell[layer] + from,
                   (size_t)width * sizeof(float));
        }
}

static int64_t advance(Search* search, const float* penalties, int level, int threads) {
    const Decoder* decoder = &search->decoder;
    const int64_t struck = find_all_repeats(search), apart = take_in(search, level, threads);
    if (struck < 0 || apart < 0) return -1;
    int64_t wanted = search->options.beam_size + 1 + struck;
    wanted = wanted < decoder->possible ? wanted : decoder->possible;
    if (search->row_room * wanted > search->wanted_room) {
        if (!renewed(&search->log_probs, search->row_room * wanted, sizeof(float)) ||
            !renewed(&search->ids, search->row_room * wanted, sizeof(int64_t)))
            return -1;
        search->wanted_room = search->row_room * wanted;
    }
    if (score_all(search, wanted, level, threads) || choose_all(search, apart, wanted, penalties, threads)) return -1;
    settle(search, threads);
    return search->endings;
}

/* Writes one token of every live sentence; returns how many have ended with it, or -1 if there is no memory, and then
 * none is live any more. What ended before is forgotten.
 *
 * penalties[tokens] is what the log-probability of so many tokens is divided by.
 */
int64_t carousel_search_advance(Search* search, const float* penalties, int level, int threads) {
    forget_ended(search);
    if (!search->sentences) return 0;
    const int64_t ended = advance(search, penalties, level, threads);
    if (ended >= 0) return ended;
    while (search->sentences > 0) free_sentence(search->live[--search->sentences]);
    search->rows = 0;
    return -1;
}

#include "search_answers.h"
