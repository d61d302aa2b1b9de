/* What a search knows between two steps, and its memory. To be included by search.h. */

#ifndef CAROUSEL_SEARCH_STATE_H
#define CAROUSEL_SEARCH_STATE_H

/* Tokens that every sentence of a language may use. */
typedef struct {
    Product product;
    const int64_t* ids; /* of its outputs; what fills these up is never chosen */
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
    int64_t* given; /* [longest] the tokens it is to say, or none */
    Step* steps;    /* [longest] */
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

/* As many numbers as wanted in the place of those that were there, which are lost; false if there is no memory, and
 * then those stay. */
static int renewed(void* pointer, int64_t count, size_t size) {
    void **place = pointer, *room = aligned_alloc(64, ((size_t)(count > 0 ? count : 1) * size + 63) / 64 * 64);
    if (!room) return 0;
    free(*place);
    *place = room;
    return 1;
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
    if (search->rows) memcpy(tokens, search->tokens, (size_t)search->rows * sizeof(int64_t));
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
                     sentence->own_ids,   sentence->given,
                     sentence};
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

#endif
