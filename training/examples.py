"""From clean text to examples: pieces of both sides, plain and in every dress, for each direction that is learned.

What a dress does to text is decided in `training.augmentation` and `training.resegmentation`; how examples are held and
laid side by side, in `training.dataset`.
"""

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from training.augmentation import AugmentationConfig, variants
from training.corpus import ParallelText
from training.dataset import Dataset, DirectedCorpus, Ids
from training.links import Guide, guide, link_words, turned
from training.pieces import Pieces, encoded
from training.quotations import short_phrases
from training.resegmentation import Resegmenter
from translator.errors import CorpusError
from translator.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

PLAIN = AugmentationConfig()
DRAWS = 8  # segmentations a sentence that are held when text is resegmented
EPOCHS_HELD = 4  # so many epochs' worth of a dress, at weight 1, is held, and drawn from ever after


def build_dataset(
    texts: Sequence[ParallelText],
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    augmentation: AugmentationConfig = PLAIN,
) -> Dataset:
    """Tokenises clean text; pairs with a side over `max_tokens` pieces (0: no limit) are dropped and counted.

    Each dress of `augmentation` is a corpus of its own, of the pairs that it changes (or, where an epoch reads few of
    them, of a random part), whose weight is such that an epoch draws the dress's share of them. Pairs that are too long
    in a dress are left out of that one.

    Raises:
        CorpusError: Nothing is left.
    """
    directed: list[DirectedCorpus] = []
    phrases = _phrases(texts) if augmentation.quoted else {}
    for text in texts:
        corpus = _tokenised(text, tokenizer).within(max_tokens)
        if len(corpus.pairs) < len(text.pairs):
            text.report.dropped["too many pieces"] += len(text.pairs) - len(corpus.pairs)
            logger.info("%s: %s", text.config.source_file.name, text.report)
        if not corpus.pairs:
            raise CorpusError(
                f"Every pair of {text.config.source_file} has a side over {max_tokens} pieces; raise max_tokens."
            )
        config = text.config
        ways = [
            ((config.source, config.target), corpus, config.weight),
            ((config.target, config.source), corpus.turned(), config.weight_back or config.weight),
        ]
        for languages, pieces, weight in ways[: 1 + config.both_directions]:
            for share, dressed in _dresses(pieces, augmentation, tokenizer, languages, phrases):
                kept = dressed.within(max_tokens)
                directed.append(
                    DirectedCorpus(
                        tokenizer.language_id(languages[1]),
                        kept.sources,
                        kept.targets,
                        weight * share,
                        config.epochs,
                        kept.guides,
                    )
                )
    dataset = Dataset(directed)
    weights = np.repeat([corpus.weight for corpus in directed], [len(corpus.sources) for corpus in directed])
    examples, tokens = weights.sum(), (weights * dataset.target_lengths).sum()
    logger.info("an epoch reads %s examples, %s target tokens", f"{examples:,.0f}", f"{tokens:,.0f}")
    return dataset


def _phrases(texts: Sequence[ParallelText]) -> dict[str, list[str]]:
    """What each language of the corpora says in few words."""
    said: dict[str, list[str]] = {}
    for text in texts:
        for side, language in enumerate((text.config.source, text.config.target)):
            said.setdefault(language, []).extend(pair[side] for pair in text.pairs)
    return {language: short_phrases(lines) for language, lines in said.items()}


def _dresses(
    plain: Pieces,
    augmentation: AugmentationConfig,
    tokenizer: Tokenizer,
    languages: tuple[str, str],
    phrases: Mapping[str, Sequence[str]],
) -> Iterator[tuple[float, Pieces]]:
    """Yields the text as it is and in every dress, each with the times that an epoch reads what it holds."""
    yield 1.0, plain
    for number, (share, change) in enumerate(variants(augmentation, languages, phrases), start=1):
        held = min(1.0, EPOCHS_HELD * share)
        yield share / held, plain.part(held, number).dressed(change, tokenizer)
    if augmentation.resegmented:
        resegmenter, chance = Resegmenter(tokenizer), random.Random(0)
        for _ in range(DRAWS):
            yield augmentation.resegmented / DRAWS, plain.resegmented(resegmenter, chance)
    rewritten: list[tuple[int, float, Callable[[Pieces, random.Random], Pieces]]] = [
        # each with the seed that chooses its part, away from those of the dresses above
        (0, augmentation.joined, Pieces.joined),
        (1000, augmentation.mixed, Pieces.mixed),
        (2000, augmentation.emphasised, lambda part, chance: part.emphasised(tokenizer, chance)),
        (3000, augmentation.compounded, lambda part, chance: part.compounded(languages, tokenizer, chance)),
        (4000, augmentation.insisted, lambda part, chance: part.insisted(tokenizer, chance)),
        (6000, augmentation.excerpted, lambda part, chance: part.excerpted(languages, tokenizer, chance)),
        (5000, augmentation.lengthy, lambda part, chance: part.lengthy()),
    ]
    for seed, share, rewrite in rewritten:
        if share:
            held = min(1.0, EPOCHS_HELD * share)
            yield share / held, rewrite(plain.part(held, seed), random.Random(seed))


def _tokenised(text: ParallelText, tokenizer: Tokenizer) -> Pieces:
    if text.links is None:
        sources, targets = (encoded([pair[side] for pair in text.pairs], tokenizer) for side in (0, 1))
        return Pieces(text.pairs, sources, targets)
    sources, targets, guides, guides_back = list[Ids](), list[Ids](), list[Guide](), list[Guide]()
    for (source, target), links in zip(text.pairs, text.links, strict=True):
        source_ids, source_spans = tokenizer.encode_with_spans(source)
        target_ids, target_spans = tokenizer.encode_with_spans(target)
        ahead, back = (link_words(source), source_spans), (link_words(target), target_spans)
        sources.append(np.array(source_ids, dtype=np.int32))
        targets.append(np.array(target_ids, dtype=np.int32))
        guides.append(guide(links, *ahead, *back))
        guides_back.append(guide(turned(links), *back, *ahead))
    return Pieces(text.pairs, sources, targets, guides, guides_back, list(text.links))
