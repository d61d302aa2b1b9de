/* A step of the decoder for all rows of a search. To be included by search.h. */

#ifndef CAROUSEL_SEARCH_STEP_H
#define CAROUSEL_SEARCH_STEP_H

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
        for (int64_t i = 0; i < search->sentences; i++) {
            const Sentence* sentence = search->live[i];
            for (int64_t row = first[i]; shares && row < first[i] + sentence->rows; row++)
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
    const int64_t parts = list < 0 ? team : team + 1;
    Running* running = new_running(parts, rows, wanted);
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
        for (int64_t i = sentence; i < sentence + sentences; i++) {
            const Product* own = &search->live[i]->own;
            const int64_t count = search->live[i]->rows, row = starts[i] - first;
            if (own->out && own_logits) { /* without tiles, so that there may be more rows than a group has */
                blocks(count, room + starts[i] * own->in, own, 0, own->out / OUTS, own_logits, own->out, 0,
                       (Ahead){0});
                for (int64_t r = 0; r < count; r++)
                    take(running + team * rows + row + r, own_logits + r * own->out, own->out, product->out, NULL);
            }
            for (int64_t r = row; r < row + count; r++) {
                int64_t* ids = search->ids + (first + r) * wanted;
                conclude(running, parts, rows, r, wanted, search->log_probs + (first + r) * wanted, ids);
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

#endif
