/* What a step makes of each sentence: what may follow, who ends, who lives on. To be included by search.h. */

#ifndef CAROUSEL_SEARCH_CHOICE_H
#define CAROUSEL_SEARCH_CHOICE_H

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
        for (int64_t i = 0; i < search->sentences; i++)
            failed |= !best || choose(search, search->live[i], first[i], apart, wanted, penalties, best);
        free(best);
    }
    return failed;
}

#endif
