/* A step of the decoder for all rows of a search. To be included by search.h. */

#ifndef CAROUSEL_SEARCH_STEP_H
#define CAROUSEL_SEARCH_STEP_H

#define LEAST_LOG_PROB -1e9f

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
        float* shares = malloc((size_t)(longest * ROWS_TOGETHER) * sizeof(float));
        failed |= !shares;
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < search->sentences; i++) {
            const Sentence* sentence = search->live[i];
            const int64_t row = first[i], apart = decoder->value_width;
            const Askers those = {search->queries + row * decoder->query->out, search->context + row * apart,
                                  search->weights + row * longest, shares, decoder->query->out, apart, longest};
            if (shares)
                attend(sentence->rows, those, sentence->keys, sentence->values, sentence->length, decoder->heads,
                       decoder->key_width, apart);
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

/* A sentence that was told what to say has nothing else to choose from; what cannot be is as unlikely as can be. */
static void insist(const Sentence* sentence, const Product* product, const Level* row, float total, int64_t wanted,
                   float* log_probs, int64_t* ids) {
    const int64_t token = sentence->given[sentence->age], block = token / OUTS;
    float logits[OUTS];
    blocks(1, row, product, block, block + 1, logits, OUTS, 0, (Ahead){0});
    for (int64_t w = 0; w < wanted; w++) log_probs[w] = -INFINITY;
    log_probs[0] = isfinite(total) ? fminf(fmaxf(logits[token % OUTS] - total, LEAST_LOG_PROB), 0.0f) : LEAST_LOG_PROB;
    ids[0] = token;
}

/* Sentences that choose from the same list, whose rows are those of `room` from `first` on, in the same order. What they
 * may use besides is scored for each by itself, and is one more part of what has been seen of their rows. */
static int score_listed(Search* search, const int64_t* those, int64_t sentences, int64_t first, int64_t rows,
                        const Level* room, int64_t wanted, float* logits, int level, int threads) {
    const int64_t list = search->live[those[0]]->list;
    const Product* product = list < 0 ? search->decoder.output : &search->decoder.lists[list].product;
    const int64_t passes = (product->out / OUTS + PASS - 1) / PASS, team = threads < passes ? threads : passes;
    const int64_t parts = list < 0 ? team : team + 1;
    int64_t* starts = malloc((size_t)sentences * sizeof(int64_t)); /* of each, among these rows */
    Running* running = starts ? new_running(parts, rows, wanted) : NULL;
    if (!running) {
        free(starts);
        return -1;
    }
    int64_t most = 0;
    for (int64_t n = 0, row = 0; n < sentences; row += search->live[those[n++]]->rows) {
        const Sentence* sentence = search->live[those[n]];
        const int64_t numbers = sentence->rows * sentence->own.out;
        starts[n] = row;
        most = numbers > most ? numbers : most;
    }
    take_all(running, rows, room + first * product->in, product, list < 0 ? search->decoder.open : NULL, logits, level,
             (int)team);
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed) if (rows >= 16)
    {
        float* own_logits = aligned_alloc(64, (size_t)(most + 16) / 16 * 16 * sizeof(float));
        failed |= !own_logits;
#pragma omp for schedule(static)
        for (int64_t n = 0; n < sentences; n++) {
            const Sentence* sentence = search->live[those[n]];
            const Product* own = &sentence->own;
            const int64_t count = sentence->rows, row = starts[n], original = search->origins[those[n]];
            if (own->out && own_logits) { /* without tiles, so that there may be more rows than a group has */
                blocks(count, room + (first + row) * own->in, own, 0, own->out / OUTS, own_logits, own->out, 0,
                       (Ahead){0});
                for (int64_t r = 0; r < count; r++)
                    take(running + team * rows + row + r, own_logits + r * own->out, own->out, product->out, NULL);
            }
            for (int64_t r = 0; r < count; r++) {
                int64_t* ids = search->ids + (original + r) * wanted;
                float* log_probs = search->log_probs + (original + r) * wanted;
                const float total = conclude(running, parts, rows, row + r, wanted, log_probs, ids);
                if (sentence->given)
                    insist(sentence, product, room + (first + row + r) * product->in, total, wanted, log_probs, ids);
                for (int64_t w = 0; list >= 0 && w < wanted; w++)
                    ids[w] = ids[w] < product->out ? search->decoder.lists[list].ids[ids[w]]
                                                   : sentence->own_ids[ids[w] - product->out];
            }
        }
        free(own_logits);
    }
    free(running);
    free(starts);
    return -failed;
}

/* Sorts the sentences by the list they choose from, else as they are; there are few lists. */
static void order_by_list(const Search* search, int64_t* order) {
    for (int64_t i = 0; i < search->sentences; i++) order[i] = i;
    for (int64_t i = 1; i < search->sentences; i++) {
        const int64_t moved = order[i], list = search->live[moved]->list;
        int64_t place = i;
        for (; place > 0 && search->live[order[place - 1]]->list > list; place--) order[place] = order[place - 1];
        order[place] = moved;
    }
}

/* The best next tokens of all rows, each from what its sentence may use: all of one list at once. */
static int score_all(Search* search, int64_t wanted, int level, int threads) {
    const Product* output = search->decoder.output;
    const Rows readouts = {search->readouts, search->readouts, search->decoder.readout_width, 0};
    Level* room = room_for(search->rows + GROUP, output->in); /* a tile reads on behind the rows of a list */
    float* logits = aligned_alloc(64, (size_t)(threads * GROUP * PASS * OUTS) * sizeof(float));
    int64_t* order = malloc((size_t)search->sentences * sizeof(int64_t));
    int failed = !room || !logits || !order;
    if (!failed) order_by_list(search, order);
    for (int64_t i = 0, to = 0; !failed && i < search->sentences; i++)
        for (int64_t r = 0; r < search->live[order[i]]->rows; r++)
            quantise(room + to++ * output->in, &readouts, search->origins[order[i]] + r, output);
    for (int64_t i = 0, end, row = 0, rows; !failed && i < search->sentences; i = end, row += rows) {
        const int64_t list = search->live[order[i]]->list;
        for (end = i, rows = 0; end < search->sentences && search->live[order[end]]->list == list; end++)
            rows += search->live[order[end]]->rows;
        failed |= score_listed(search, order + i, end - i, row, rows, room, wanted, logits, level, threads) != 0;
    }
    free(room);
    free(logits);
    free(order);
    return -failed;
}

#endif
