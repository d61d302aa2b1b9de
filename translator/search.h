/* Beam search over the kernels: one call writes a token of every live sentence. To be included by kernels.c.
 *
 * Of each sentence it does what `beam_search.py` does, which is there to be read, and is tested to give the same: what
 * the rules are and where they come from is said there, and `kernel_search.py` says what is given and taken here. Where
 * there are many sentences that file's arrays become loops over one sentence's beam.
 *
 * A search keeps what it was told of its sentences, and is freed as a whole. Rows lie in the order of their sentences,
 * those of one in the order of their likelihood.
 */

/* Tokens that every sentence of a language may use. */
typedef struct {
    Product product;
    const int64_t* ids; /* [product.out] */
} List;

typedef struct {
    int64_t layers, width, heads, key_width, value_width, readout_width;
    const Product *first, *query, *readout, *output;
    const Product* const* later; /* [layers - 1] */
    const uint16_t* first_gates; /* [vocabulary][4 width] in bfloat16, what a token adds to the first layer's gates */
    const uint16_t* embeddings;  /* [vocabulary][readout_width] in bfloat16 */
    float embedding_scale;       /* what these were multiplied by */
    const uint16_t* open;        /* a bit for each token that may be chosen */
    int64_t possible;            /* how many these are */
    const List* lists;           /* what sentences choose from that have one; see `shortlist.py` */
} Decoder;

typedef struct {
    int64_t beam_size, most, bos, eos, delay, ngram; /* most hypotheses that a sentence may want */
    float threshold, coverage;
} Options;

/* One step of a sentence: what its rows looked at, and which rows followed. */
typedef struct {
    int32_t *tokens, *parents; /* [rows behind it] */
    float* log_probs;          /* [rows behind it] of the tokens */
    float* weights;            /* [rows before it][length] */
    uint16_t* states;          /* [rows before it][readout_width] in bfloat16 */
} Step;

typedef struct {
    int64_t ticket, length, longest, wanted, repeats, list, owns; /* as they are given: see carousel_search_admit */
    int64_t age, rows, finished, done;
    float* keys;                  /* [length][heads][key_width] */
    uint16_t* values;             /* [length][heads][value_width] */
    float* log_probs;             /* [beam] best first */
    int32_t *written, *rewritten; /* [beam][longest] tokens of each row; the other is for the next step */
    float *covered, *recovered;   /* [beam][length] attention summed over the steps, or none */
    float *scores, *ends;         /* [most] of finished hypotheses, best first, and of their eos alone */
    int64_t *lengths, *lasts;     /* [most] tokens, eos counted, and the row that eos was added to */
    int64_t* parents;             /* [beam] the old row that each row continues */
    Product own;                  /* tokens that this sentence may use besides those of its list, and their ids */
    int64_t* own_ids;
    Step* steps; /* [longest] */
} Sentence;

/* Room for what rows are between two steps. */
typedef struct {
    float **hidden, **cell; /* [layers][rows][width] */
} States;

typedef struct {
    Decoder decoder;
    Options options;
    Sentence **live, **ended;
    int64_t sentences, room, endings, rows, row_room, wanted_room;
    States now, next;
    float *queries, *context, *weights, *outputs, *states, *readouts, *log_probs;
    int64_t *tokens, *ids, *origins, *struck, *struck_starts;
    int64_t weight_room, struck_room;
} Search;

typedef struct {
    float sum, log_prob;
    int64_t token, parent;
} Candidate;

/* ---- Coming and going -------------------------------------------------------------------------------------------- */

/* As many numbers as wanted in the place of those that were there, which are lost; false if there is no memory. */
static int renewed(void* pointer, int64_t count, size_t size) {
    void** place = pointer;
    free(*place);
    *place = aligned_alloc(64, ((size_t)(count > 0 ? count : 1) * size + 63) / 64 * 64);
    return *place != NULL;
}

/* Room for more rows; those there are stay. */
static int widened_states(States* states, int64_t layers, int64_t rows, int64_t room, int64_t width) {
    for (int64_t part = 0; part < 2 * layers; part++) {
        float** place = part < layers ? states->hidden + part : states->cell + part - layers;
        float* kept = aligned_alloc(64, (size_t)((room * width + 15) / 16 * 16) * sizeof(float));
        if (!kept) return 0;
        if (*place) memcpy(kept, *place, (size_t)(rows * width) * sizeof(float));
        free(*place);
        *place = kept;
    }
    return 1;
}

static int reserve(Search* search, int64_t sentences) {
    const Decoder* decoder = &search->decoder;
    const int64_t rows = sentences * search->options.beam_size;
    if (rows <= search->row_room) return 1;
    const int64_t room = rows > 2 * search->row_room ? rows : 2 * search->row_room;
    if (!widened_states(&search->now, decoder->layers, search->rows, room, decoder->width) ||
        !widened_states(&search->next, decoder->layers, 0, room, decoder->width) ||
        !renewed(&search->queries, room * decoder->query->out, sizeof(float)) ||
        !renewed(&search->context, room * decoder->value_width, sizeof(float)) ||
        !renewed(&search->outputs, room * decoder->width, sizeof(float)) ||
        !renewed(&search->states, room * decoder->readout->out, sizeof(float)) ||
        !renewed(&search->readouts, room * decoder->readout_width, sizeof(float)) ||
        !renewed(&search->origins, room, sizeof(int64_t)) ||
        !renewed(&search->struck_starts, room + 1, sizeof(int64_t)))
        return 0;
    int64_t* tokens = malloc((size_t)room * sizeof(int64_t));
    if (!tokens) return 0;
    memcpy(tokens, search->tokens, (size_t)search->rows * sizeof(int64_t));
    free(search->tokens);
    search->tokens = tokens;
    search->row_room = room;
    search->wanted_room = search->weight_room = 0; /* these are made anew when they are needed */
    return 1;
}

static void free_sentence(Sentence* sentence) {
    if (!sentence) return;
    for (int64_t age = 0; sentence->steps && age < sentence->age; age++) free(sentence->steps[age].log_probs);
    void* parts[] = {sentence->keys,      sentence->values,
                     sentence->log_probs, sentence->written,
                     sentence->rewritten, sentence->covered,
                     sentence->recovered, sentence->scores,
                     sentence->ends,      sentence->lengths,
                     sentence->lasts,     sentence->parents,
                     sentence->steps,     (void*)sentence->own.weights,
                     sentence->own_ids,   sentence};
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) free(parts[part]);
}

static void forget_ended(Search* search) {
    for (int64_t i = 0; i < search->endings; i++) free_sentence(search->ended[i]);
    search->endings = 0;
}

void carousel_search_free(Search* search) {
    if (!search) return;
    forget_ended(search);
    for (int64_t i = 0; i < search->sentences; i++) free_sentence(search->live[i]);
    States* both[] = {&search->now, &search->next};
    for (int which = 0; which < 2; which++) {
        for (int64_t layer = 0; both[which]->hidden && layer < search->decoder.layers; layer++)
            free(both[which]->hidden[layer]);
        for (int64_t layer = 0; both[which]->cell && layer < search->decoder.layers; layer++)
            free(both[which]->cell[layer]);
        free(both[which]->hidden);
        free(both[which]->cell);
    }
    void* parts[] = {search->live,    search->ended,   search->queries,  search->context,       search->weights,
                     search->outputs, search->states,  search->readouts, search->log_probs,     search->tokens,
                     search->ids,     search->origins, search->struck,   search->struck_starts, search};
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) free(parts[part]);
}

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

static Sentence* new_sentence(const Search* search, const int64_t* facts, const int64_t* own_ids, const float* keys,
                              const uint16_t* values) {
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
    if (!sentence->keys || !sentence->values || !sentence->log_probs || !sentence->written || !sentence->rewritten ||
        (covers && (!sentence->covered || !sentence->recovered)) || !sentence->scores || !sentence->ends ||
        !sentence->lengths || !sentence->lasts || !sentence->parents || !sentence->steps || !sentence->own_ids ||
        (owns && !gather(decoder->output, own_ids, sentence->owns, &sentence->own))) {
        free_sentence(sentence);
        return NULL;
    }
    memcpy(sentence->own_ids, own_ids, owns * sizeof(int64_t));
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
 * all sentences · keys [count][length][heads][key_width] · values in bfloat16 [count][length][heads][value_width] ·
 * hidden, cell [layers][count][width]
 */
int carousel_search_admit(Search* search, int64_t count, const int64_t* facts, const int64_t* own_ids, int64_t length,
                          const float* keys, const uint16_t* values, const float* hidden, const float* cell) {
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
            new_sentence(search, facts + i * 7, own_ids, keys + i * length * decoder->heads * decoder->key_width,
                         values + i * length * decoder->heads * decoder->value_width);
        if (!sentence) {
            while (i-- > 0) free_sentence(search->live[search->sentences + i]);
            return -1;
        }
        search->live[search->sentences + i] = sentence;
        own_ids += sentence->owns;
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

/* ---- A step of the decoder --------------------------------------------------------------------------------------- */

static int attend_all(Search* search, int threads) {
    const Decoder* decoder = &search->decoder;
    int failed = 0;
    int64_t longest = 0;
    for (int64_t i = 0; i < search->sentences; i++)
        longest = search->live[i]->length > longest ? search->live[i]->length : longest;
    if (search->row_room * longest > search->weight_room) {
        if (!renewed(&search->weights, search->row_room * longest, sizeof(float))) return -1;
        search->weight_room = search->row_room * longest;
    }
    int64_t* first = search->origins; /* of each sentence, its first row; not needed before rows are brought in order */
    for (int64_t i = 0, row = 0; i < search->sentences; row += search->live[i++]->rows) first[i] = row;
#pragma omp parallel num_threads(threads) \
    reduction(| : failed) if (search -> rows * longest * decoder->value_width >= WORTH_A_TEAM / 4)
    {
        float* shares = malloc((size_t)longest * sizeof(float));
        failed |= !shares;
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < (shares ? search->sentences : 0); i++) {
            const Sentence* sentence = search->live[i];
            for (int64_t row = first[i]; row < first[i] + sentence->rows; row++)
                attend(search->queries + row * decoder->query->out, sentence->keys, sentence->values, sentence->length,
                       decoder->heads, decoder->key_width, decoder->value_width,
                       search->context + row * decoder->value_width, search->weights + row * longest, shares);
        }
        free(shares);
    }
    return failed ? -1 : (int)longest;
}

/* Every row takes its last token in; returns how far apart rows of weights lie, or -1 if there is no memory. */
static int64_t take_in(Search* search, int level, int threads) {
    const Decoder* decoder = &search->decoder;
    const int64_t rows = search->rows, width = decoder->width;
    States *now = &search->now, *next = &search->next;
    const Rows below = {now->hidden[0], now->hidden[0], width, 0};
    const Rows outputs = {search->outputs, search->outputs, width, 0};
    int failed = carousel_lstm(&below, rows, decoder->first, width, NULL, 0, decoder->first_gates, search->tokens,
                               now->cell[0], next->hidden[0], next->cell[0], level, threads);
    memcpy(search->outputs, next->hidden[0], (size_t)(rows * width) * sizeof(float));
    failed |= carousel_multiply(&outputs, rows, decoder->query, search->queries, level, threads);
    const int64_t longest = attend_all(search, threads);
    if (failed || longest < 0) return -1;
    for (int64_t layer = 1; layer < decoder->layers; layer++) {
        const Rows both = {search->outputs, now->hidden[layer], width, width};
        failed |= carousel_lstm(&both, rows, decoder->later[layer - 1], width,
                                search->context + (layer - 1) * 4 * width, decoder->value_width, NULL, NULL,
                                now->cell[layer], next->hidden[layer], next->cell[layer], level, threads);
        for (int64_t i = 0; i < rows * width; i++) search->outputs[i] += next->hidden[layer][i];
    }
    failed |= carousel_multiply(&outputs, rows, decoder->readout, search->states, level, threads);
    carousel_tanh(rows, decoder->readout_width, search->states, decoder->readout->out,
                  search->context + (decoder->layers - 1) * 4 * width, decoder->value_width, search->readouts, threads);
    return failed ? -1 : longest;
}

/* Sentences that choose from the same list, one behind the other, whose rows are those from `first` on. What they may
 * use besides is scored for each by itself, and is one more part of what has been seen of their rows. */
static int score_listed(Search* search, int64_t sentence, int64_t sentences, int64_t first, int64_t rows,
                        const Level* room, int64_t wanted, float* logits, int level, int threads) {
    const int64_t list = search->live[sentence]->list, *starts = search->origins;
    const Product* product = list < 0 ? search->decoder.output : &search->decoder.lists[list].product;
    const int64_t passes = (product->out / OUTS + PASS - 1) / PASS, team = threads < passes ? threads : passes;
    Running* running = new_running(team + 1, rows, wanted);
    if (!running) return -1;
    take_all(running, rows, room + first * product->in, product, list < 0 ? search->decoder.open : NULL, logits, level,
             (int)team);
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed) if (rows >= 16)
    {
        int64_t most = 0;
        for (int64_t i = sentence; i < sentence + sentences; i++)
            if (search->live[i]->rows * search->live[i]->own.out > most)
                most = search->live[i]->rows * search->live[i]->own.out;
        float* own_logits = aligned_alloc(64, (size_t)(most + 16) / 16 * 16 * sizeof(float));
        failed |= !own_logits;
#pragma omp for schedule(static)
        for (int64_t i = sentence; i < (own_logits ? sentence + sentences : sentence); i++) {
            const Product* own = &search->live[i]->own;
            const int64_t count = search->live[i]->rows, row = starts[i] - first;
            if (own->out) {
                blocks(count, room + starts[i] * own->in, own, 0, own->out / OUTS, own_logits, own->out, 0);
                for (int64_t r = 0; r < count; r++)
                    take(running + team * rows + row + r, own_logits + r * own->out, own->out, product->out, NULL);
            }
            for (int64_t r = row; r < row + count; r++) {
                int64_t* ids = search->ids + (first + r) * wanted;
                conclude(running, team + 1, rows, r, wanted, search->log_probs + (first + r) * wanted, ids);
                for (int64_t w = 0; list >= 0 && w < wanted; w++)
                    ids[w] = ids[w] < product->out ? search->decoder.lists[list].ids[ids[w]]
                                                   : search->live[i]->own_ids[ids[w] - product->out];
            }
        }
        free(own_logits);
    }
    free(running);
    return -failed;
}

/* The best next tokens of all rows, each from what its sentence may use. */
static int score_all(Search* search, int64_t wanted, int level, int threads) {
    const Product* output = search->decoder.output;
    const Rows readouts = {search->readouts, search->readouts, search->decoder.readout_width, 0};
    Level* room = room_for(search->rows + GROUP, output->in); /* a tile reads on behind the rows of a list */
    float* logits = aligned_alloc(64, (size_t)(threads * GROUP * PASS * OUTS) * sizeof(float));
    int failed = !room || !logits;
    for (int64_t row = 0; !failed && row < search->rows; row++)
        quantise(room + row * output->in, &readouts, row, output);
    for (int64_t i = 0, end, row = 0, rows; !failed && i < search->sentences; i = end, row += rows) {
        for (end = i, rows = 0; end < search->sentences && search->live[end]->list == search->live[i]->list; end++)
            rows += search->live[end]->rows;
        failed |= score_listed(search, i, end - i, row, rows, room, wanted, logits, level, threads) != 0;
    }
    free(room);
    free(logits);
    return -failed;
}

/* ---- What may not be said again ---------------------------------------------------------------------------------- */

/* Finds the tokens with which a row would say `ngram` tokens again; counts them, and writes them down if it may. */
static int64_t find_repeats(const Sentence* sentence, int64_t row, int64_t ngram, int64_t* found) {
    const int64_t before = ngram - 1, age = sentence->age;
    const int32_t* written = sentence->written + row * sentence->longest;
    int64_t count = 0;
    if (!ngram || sentence->repeats || age < ngram) return 0;
    for (int64_t start = 0; start < age - before; start++) {
        if (memcmp(written + start, written + age - before, (size_t)before * sizeof(int32_t))) continue;
        if (found) found[count] = written[start + before];
        count++;
    }
    return count;
}

/* Lists them for all rows; returns the most of any, or -1 if there is no memory. */
static int64_t find_all_repeats(Search* search) {
    int64_t all = 0, most = 0, row = 0;
    for (int64_t i = 0; i < search->sentences; i++)
        for (int64_t k = 0; k < search->live[i]->rows; k++, row++) {
            const int64_t count = find_repeats(search->live[i], k, search->options.ngram, NULL);
            search->struck_starts[row] = all;
            all += count;
            most = count > most ? count : most;
        }
    search->struck_starts[row] = all;
    if (!all) return 0;
    if (all > search->struck_room) {
        if (!renewed(&search->struck, all, sizeof(int64_t))) return -1;
        search->struck_room = all;
    }
    row = 0;
    for (int64_t i = 0; i < search->sentences; i++)
        for (int64_t k = 0; k < search->live[i]->rows; k++, row++)
            find_repeats(search->live[i], k, search->options.ngram, search->struck + search->struck_starts[row]);
    return most;
}

static int is_struck(const Search* search, int64_t row, int64_t token) {
    for (int64_t at = search->struck_starts[row]; at < search->struck_starts[row + 1]; at++)
        if (search->struck[at] == token) return 1;
    return 0;
}

/* ---- Choosing ---------------------------------------------------------------------------------------------------- */

static uint16_t rounded_to_bfloat16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* The best 2K continuations of a sentence, best first, of equals the first row's first; returns how many there are. */
static int64_t find_candidates(const Search* search, const Sentence* sentence, int64_t first, int64_t wanted,
                               Candidate* best) {
    const int64_t room = 2 * search->options.beam_size;
    int64_t count = 0;
    for (int64_t k = 0; k < sentence->rows; k++)
        for (int64_t w = 0; w < wanted; w++) {
            const int64_t at = (first + k) * wanted + w;
            const float log_prob = search->log_probs[at], sum = sentence->log_probs[k] + log_prob;
            if (!(sum > -INFINITY) || (count == room && !(sum > best[room - 1].sum)) ||
                is_struck(search, first + k, search->ids[at]))
                continue;
            int64_t place = count < room ? count++ : room - 1;
            for (; place > 0 && sum > best[place - 1].sum; place--) best[place] = best[place - 1];
            best[place] = (Candidate){sum, log_prob, search->ids[at], k};
        }
    return count;
}

static float coverage_of(const Sentence* sentence, int64_t row, float coverage) {
    double sum = 0;
    for (int64_t s = 0; s < sentence->length; s++) {
        const float looked = sentence->covered[row * sentence->length + s];
        sum += logf(looked < 1e-6f ? 1e-6f : looked > 1.0f ? 1.0f : looked);
    }
    return (float)sum * coverage;
}

/* Those of the first K that end the sentence finish where there is a place for them. */
static void finish(const Search* search, Sentence* sentence, const Candidate* best, int64_t count,
                   const float* penalties) {
    const Options* options = &search->options;
    const int64_t places = options->beam_size - sentence->finished;
    for (int64_t i = 0; i < count && i < places; i++) {
        if (best[i].token != options->eos) continue;
        float score = best[i].sum / penalties[sentence->age + 1];
        if (options->coverage != 0) score += coverage_of(sentence, best[i].parent, options->coverage);
        sentence->finished++;
        int64_t at = options->most - 1;
        if (!(score > sentence->scores[at])) continue;
        for (; at > 0 && score > sentence->scores[at - 1]; at--) {
            sentence->scores[at] = sentence->scores[at - 1];
            sentence->ends[at] = sentence->ends[at - 1];
            sentence->lengths[at] = sentence->lengths[at - 1];
            sentence->lasts[at] = sentence->lasts[at - 1];
        }
        sentence->scores[at] = score;
        sentence->ends[at] = best[i].log_prob;
        sentence->lengths[at] = sentence->age + 1;
        sentence->lasts[at] = best[i].parent;
    }
}

/* The likeliest of the others live on, as far as they may; they are moved to the front. Returns how many. */
static int64_t survivors(const Search* search, const Sentence* sentence, Candidate* best, int64_t count) {
    const Options* options = &search->options;
    const int64_t places = options->beam_size - sentence->finished, back = sentence->age - options->delay;
    int64_t live = 0, decided = 0;
    float most = 0;
    for (int64_t i = 0; i < count && live < places; i++) {
        if (best[i].token == options->eos) continue;
        if (!live) most = best[i].sum;
        if (options->threshold != 0 && live >= sentence->wanted && !(best[i].sum >= most - options->threshold)) break;
        best[live++] = best[i];
    }
    if (!options->delay || back < 0 || sentence->wanted != 1) return live;
    for (int64_t i = 0; i < live; i++) {
        const int32_t* written = sentence->written + back;
        if (written[best[i].parent * sentence->longest] == written[best[0].parent * sentence->longest])
            best[decided++] = best[i];
    }
    return decided;
}

/* Writes down what the rows looked at and which live on. */
static int record(const Search* search, Sentence* sentence, int64_t first, int64_t apart, const Candidate* best,
                  int64_t live) {
    const Decoder* decoder = &search->decoder;
    const int64_t before = sentence->rows, length = sentence->length, width = decoder->readout_width;
    Step* step = sentence->steps + sentence->age;
    float* room = malloc((size_t)(live + before * length) * sizeof(float) + (size_t)(2 * live) * sizeof(int32_t) +
                         (size_t)(before * width) * sizeof(uint16_t));
    if (!room) return -1;
    step->log_probs = room;
    step->weights = room + live;
    step->tokens = (int32_t*)(step->weights + before * length);
    step->parents = step->tokens + live;
    step->states = (uint16_t*)(step->parents + live);
    for (int64_t row = 0; row < before; row++) {
        memcpy(step->weights + row * length, search->weights + (first + row) * apart, (size_t)length * sizeof(float));
        const float* states = search->states + (first + row) * decoder->readout->out;
        for (int64_t i = 0; i < width; i++) step->states[row * width + i] = rounded_to_bfloat16(states[i]);
    }
    for (int64_t i = 0; i < live; i++) {
        const int64_t parent = best[i].parent;
        int32_t* written = sentence->rewritten + i * sentence->longest;
        step->log_probs[i] = best[i].log_prob;
        step->tokens[i] = written[sentence->age] = (int32_t)best[i].token;
        step->parents[i] = (int32_t)parent;
        memcpy(written, sentence->written + parent * sentence->longest, (size_t)sentence->age * sizeof(int32_t));
        sentence->parents[i] = parent;
        sentence->log_probs[i] = best[i].sum;
        if (sentence->covered)
            memcpy(sentence->recovered + i * length, sentence->covered + parent * length,
                   (size_t)length * sizeof(float));
    }
    int32_t* written = sentence->written;
    float* covered = sentence->covered;
    sentence->written = sentence->rewritten, sentence->rewritten = written;
    sentence->covered = sentence->recovered, sentence->recovered = covered;
    sentence->rows = live;
    sentence->age++;
    return 0;
}

/* All that a step changes of a sentence whose rows are those from `first` on. */
static int choose(const Search* search, Sentence* sentence, int64_t first, int64_t apart, int64_t wanted,
                  const float* penalties, Candidate* best) {
    const Options* options = &search->options;
    for (int64_t k = 0; sentence->covered && k < sentence->rows; k++)
        for (int64_t s = 0; s < sentence->length; s++)
            sentence->covered[k * sentence->length + s] += search->weights[(first + k) * apart + s];
    const int64_t count = find_candidates(search, sentence, first, wanted, best);
    finish(search, sentence, best, count, penalties);
    if (record(search, sentence, first, apart, best, survivors(search, sentence, best, count))) return -1;
    const float bound = sentence->rows ? sentence->log_probs[0] / penalties[sentence->longest] : -INFINITY;
    sentence->done = sentence->finished >= options->beam_size || sentence->age >= sentence->longest ||
                     bound <= sentence->scores[sentence->wanted - 1];
    return 0;
}

static int choose_all(Search* search, int64_t apart, int64_t wanted, const float* penalties, int threads) {
    int64_t* first = search->origins;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed) if (search -> rows >= 32)
    {
        Candidate* best = malloc((size_t)(2 * search->options.beam_size) * sizeof(Candidate));
        failed |= !best;
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < (best ? search->sentences : 0); i++)
            failed |= choose(search, search->live[i], first[i], apart, wanted, penalties, best) != 0;
        free(best);
    }
    return failed;
}

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

/* Writes one token of every live sentence; returns how many have ended with it, or -1 if there is no memory, after
 * which the search is of no use any more. What ended before is forgotten.
 *
 * penalties[tokens] is what the log-probability of so many tokens is divided by.
 */
int64_t carousel_search_advance(Search* search, const float* penalties, int level, int threads) {
    const Decoder* decoder = &search->decoder;
    forget_ended(search);
    if (!search->sentences) return 0;
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

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* How many hypotheses a sentence that ended gives. */
static int64_t answers_of(const Sentence* sentence, int64_t* finished) {
    int64_t count = 0;
    while (count < sentence->wanted && sentence->scores[count] > -INFINITY) count++;
    *finished = count;
    return count < sentence->wanted && sentence->age == sentence->longest ? count + sentence->rows : count;
}

/* about [ticket, source length, hypotheses, hypotheses wanted] of the sentence that ended at this place. */
void carousel_search_ended(const Search* search, int64_t place, int64_t* about) {
    int64_t finished;
    about[0] = search->ended[place]->ticket;
    about[1] = search->ended[place]->length;
    about[2] = answers_of(search->ended[place], &finished);
    about[3] = search->ended[place]->wanted;
}

/* Tokens of one of its hypotheses, eos counted; below 0, the same number less one, if it was cut. */
int64_t carousel_search_length(const Search* search, int64_t place, int64_t which) {
    const Sentence* sentence = search->ended[place];
    int64_t finished;
    answers_of(sentence, &finished);
    return which < finished ? sentence->lengths[which] : -sentence->age - 1;
}

/* One of its hypotheses: tokens, log_probs [T] · attention, posterior [T][source length]; -1 if there is no memory. */
int carousel_search_answer(const Search* search, int64_t place, int64_t which, int64_t* tokens, float* log_probs,
                           float* attention, float* posterior, int threads) {
    const Decoder* decoder = &search->decoder;
    const Sentence* sentence = search->ended[place];
    int64_t finished;
    answers_of(sentence, &finished);
    const int ends = which < finished;
    const int64_t count = ends ? sentence->lengths[which] : sentence->age, length = sentence->length;
    const int64_t width = decoder->readout_width, apart = decoder->heads * decoder->value_width;
    float* states = malloc((size_t)(count * width) * sizeof(float));
    float* written = malloc((size_t)(count * width) * sizeof(float));
    float* sources = calloc((size_t)(length * width), sizeof(float));
    const int failed = !states || !written || !sources;
    int64_t row = ends ? sentence->lasts[which] : which - finished;
    for (int64_t t = count - 1; !failed && t >= 0; t--) {
        const Step* step = sentence->steps + t;
        const int end = ends && t == count - 1;
        tokens[t] = end ? search->options.eos : step->tokens[row];
        log_probs[t] = end ? sentence->ends[which] : step->log_probs[row];
        row = end ? row : step->parents[row]; /* the row that chose it */
        memcpy(attention + t * length, step->weights + row * length, (size_t)length * sizeof(float));
        for (int64_t i = 0; i < width; i += 16) {
            const Lanes those = first(width - i);
            store_first(states + t * width + i, those, widened(step->states + row * width + i, those));
            store_first(written + t * width + i, those, widened(decoder->embeddings + tokens[t] * width + i, those));
        }
        for (int64_t i = 0; i < width; i++) written[t * width + i] /= decoder->embedding_scale;
    }
    for (int64_t s = 0; !failed && s < length; s++)
        for (int64_t head = 0; head < decoder->heads; head++) {
            const uint16_t* value =
                sentence->values + s * apart + (head + 1) * decoder->value_width - width; /* the readout's comes last */
            for (int64_t i = 0; i < width; i += 16) {
                const Lanes those = first(width - i);
                float* sum = sources + s * width + i;
                store_first(sum, those, add(load_first(those, sum), widened(value + i, those)));
            }
        }
    if (!failed) carousel_origins(1, count, length, width, states, sources, written, posterior, threads);
    for (int64_t t = 0; !failed && t < count; t++) {
        for (int64_t s = 0; s < length; s++) {
            const float prior = attention[t * length + s];
            posterior[t * length + s] += logf(prior < 1e-6f ? 1e-6f : prior);
        }
        softmax(posterior + t * length, length);
    }
    free(states);
    free(written);
    free(sources);
    return -failed;
}

/* Tokens that the best hypothesis of a live sentence will begin with: returns how many, at most its age, or -1 if the
 * sentence is not live, -2 if there is no memory. All hypotheses are followed back at once; where they are in one row
 * they are one. */
int64_t carousel_search_settled(const Search* search, int64_t ticket, int64_t* tokens) {
    const Sentence* sentence = NULL;
    for (int64_t i = 0; i < search->sentences && !sentence; i++)
        if (search->live[i]->ticket == ticket) sentence = search->live[i];
    if (!sentence) return -1;
    const int64_t beam = search->options.beam_size, none = sentence->age + 1;
    const int64_t end = sentence->scores[0] > -INFINITY ? sentence->lengths[0] - 1 : none; /* of the best finished */
    unsigned char* reached = calloc((size_t)(2 * beam), 1);
    if (!reached) return -2;
    unsigned char *here = reached, *before = reached + beam;
    int64_t shared = 0;
    for (int64_t age = sentence->age; age > 0 && end > 0 && !shared; age--) {
        int64_t count = 0, row = 0;
        memset(before, 0, (size_t)beam);
        for (int64_t k = 0; age < sentence->age && k < beam; k++)
            if (here[k]) before[sentence->steps[age].parents[k]] = 1;
        for (int64_t k = 0; age == sentence->age && k < sentence->rows; k++) before[k] = 1;
        if (end == age) before[sentence->lasts[0]] = 1;
        for (int64_t k = 0; k < beam; k++)
            if (before[k]) count++, row = k;
        unsigned char* swapped = here;
        here = before, before = swapped;
        if (count != 1 || end < age) continue;
        shared = age;
        for (int64_t t = age - 1; t >= 0; t--) {
            tokens[t] = sentence->steps[t].tokens[row];
            row = sentence->steps[t].parents[row];
        }
    }
    free(reached);
    return shared;
}
