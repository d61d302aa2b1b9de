/* What sentences answer, those that have ended and those that have not. To be included by search.h. */

#ifndef CAROUSEL_SEARCH_ANSWERS_H
#define CAROUSEL_SEARCH_ANSWERS_H

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

#endif
