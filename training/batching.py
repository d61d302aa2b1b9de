"""Which examples meet in a batch: a plan for a whole epoch, the same for the same seed and epoch.

Examples of like length travel together, so little of a batch is padding; batches hold a budget of tokens, not a number
of sentences, so each costs about the same, but for what it lacks to be made of whole tiles; their order is random.
Being a pure function of (seed, epoch), the plan needs no state to be resumed: a run knows only how many batches of the
epoch it has behind it.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import numpy as np
from numpy.typing import NDArray

from training.dataset import Dataset
from translator.errors import CorpusError

Examples = NDArray[np.int64]
TILE, HALF_TILE = 16, 8
"""Batches of many examples have a multiple of the first, those of a few of the second. So have the products' rows: it
is what fills a tile of AMX or a tensor core, and it leaves hundreds of shapes of products where there were thousands,
each of which costs a CPU the making of a kernel, ten times as long as the product."""


def plan_epoch(dataset: Dataset, *, batch_tokens: int, seed: int, epoch: int) -> list[Examples]:
    """Plans one epoch.

    Args:
        dataset: Its corpora's weights say how often each is read.
        batch_tokens: Most tokens a batch holds on its longer side, padding included; a longer single example is a
            batch of its own.
        seed: Of the whole run.
        epoch: Counted from 0.

    Returns:
        Batches of example numbers, in random order.

    Raises:
        CorpusError: The weights leave no example to read.
    """
    random = np.random.default_rng([seed, epoch])
    chosen = random.permutation(_draw(dataset, random, epoch))
    if not len(chosen):
        raise CorpusError("An epoch reads no example: raise the weight of a corpus, or give it more text.")
    # Sorted by target, then source length; the permutation before decides among equals.
    order = np.lexsort((dataset.source_lengths[chosen], dataset.target_lengths[chosen]))
    chosen = chosen[order]
    longest = np.maximum(dataset.source_lengths[chosen], dataset.target_lengths[chosen])
    batches = [chosen[start:end] for start, end in _cut(longest.tolist(), batch_tokens)]
    return [batches[n] for n in random.permutation(len(batches))]


def plans_ahead(dataset: Dataset, *, batch_tokens: int, seed: int, first_epoch: int) -> Generator[list[Examples]]:
    """Yields the plan of one epoch after another without end, each made in a thread while the one before is used.

    Closing it ends the thread, once the plan that is being made is done.

    Raises:
        CorpusError: As `plan_epoch`.
    """
    with ThreadPoolExecutor(max_workers=1) as planner:

        def begin(epoch: int) -> Future[list[Examples]]:
            return planner.submit(plan_epoch, dataset, batch_tokens=batch_tokens, seed=seed, epoch=epoch)

        coming = begin(first_epoch)
        for epoch in count(first_epoch + 1):
            plan, coming = coming.result(), begin(epoch)
            yield plan


def _draw(dataset: Dataset, random: np.random.Generator, epoch: int) -> Examples:
    """Picks this epoch's examples: weight 2.3 reads a corpus twice and a random 0.3 of it once more."""
    drawn = [np.empty(0, dtype=np.int64)]
    for start, corpus in zip(dataset.starts, dataset.corpora, strict=False):
        if corpus.epochs and epoch >= corpus.epochs:
            continue
        size, (whole, part) = len(corpus.sources), (int(corpus.weight), corpus.weight % 1)
        drawn += [start + np.arange(size)] * whole
        # Rounded up or down by chance, so that over the epochs a small part of a small corpus is read as well.
        drawn.append(start + random.permutation(size)[: int(part * size + random.random())])
    return np.concatenate(drawn)


def _cut(longest: Sequence[int], batch_tokens: int) -> list[tuple[int, int]]:
    """Cuts a sorted row of lengths into runs of at most `batch_tokens` tokens, padding included.

    Their sizes are whole tiles, but for the last one and the smallest; what is too much waits for the next, which are
    seven examples at most, and fifteen of 64 and more.
    """
    cuts, start = [], 0
    while start < len(longest):
        end, width = start + 1, longest[start]
        while end < len(longest) and max(width, longest[end]) * (end - start + 1) <= batch_tokens:
            width, end = max(width, longest[end]), end + 1
        if end < len(longest) and (count := end - start) >= HALF_TILE:
            end -= count % (TILE if count >= 4 * TILE else HALF_TILE)
        cuts.append((start, end))
        start = end
    return cuts
