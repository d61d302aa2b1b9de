"""From clean text to numbered examples: nothing is lost, and special tokens stand where they should."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.small_run import SOURCES, TARGETS
from training.augmentation import AugmentationConfig
from training.cleaning import CleaningReport
from training.config import CorpusConfig
from training.corpus import ParallelText
from training.dataset import Dataset, DirectedCorpus, source_ids
from training.examples import DRAWS, EPOCHS_HELD, build_dataset
from training.links import NOWHERE
from training.pieces import LENGTHY, RUN_LENGTHS
from translator.alignment import Link
from translator.errors import CorpusError
from translator.tokenizer import Tokenizer

GERMAN, FRENCH = 4, 5


def text_of(
    pairs: list[tuple[str, str]], *, both_directions: bool = False, weight: float = 1.0, epochs: int = 0
) -> ParallelText:
    files = Path("text.en"), Path("text.de")
    config = CorpusConfig(
        source="en", target="de", source_file=files[0], target_file=files[1],
        both_directions=both_directions, weight=weight, epochs=epochs,
    )  # fmt: skip
    return ParallelText(config, pairs, CleaningReport(read=len(pairs)))


def corpus_of(language_id: int, *rows: tuple[list[int], list[int]]) -> DirectedCorpus:
    sources, targets = ([np.array(row[side], dtype=np.int32) for row in rows] for side in (0, 1))
    return DirectedCorpus(language_id, sources, targets)


def test_a_batch_has_its_special_tokens_and_its_padding() -> None:
    dataset = Dataset([corpus_of(GERMAN, ([10, 11, 12], [20])), corpus_of(FRENCH, ([13], [21, 22]))])
    batch = dataset.batch(np.array([1, 0]))
    assert batch.source.ids.tolist() == [[FRENCH, 13, 3, 0, 0], [GERMAN, 10, 11, 12, 3]]
    assert batch.target_input.ids.tolist() == [[2, 21, 22], [2, 20, 0]]
    assert batch.target_output.ids.tolist() == [[21, 22, 3], [20, 3, 0]]
    assert batch.target_output.mask.tolist() == [[True, True, True], [True, True, False]]


row = st.tuples(st.lists(st.integers(6, 99), max_size=5), st.lists(st.integers(6, 99), max_size=5))


@given(st.lists(st.lists(row, max_size=4), min_size=1, max_size=3).filter(any), st.randoms())
def test_any_example_comes_back_with_the_length_the_dataset_told(
    corpora: list[list[tuple[list[int], list[int]]]], random: object
) -> None:
    dataset = Dataset([corpus_of(GERMAN + number, *rows) for number, rows in enumerate(corpora)])
    expected = [(GERMAN + number, *pair) for number, rows in enumerate(corpora) for pair in rows]
    assert len(dataset) == len(expected)
    examples = np.arange(len(dataset))[::-1]
    batch = dataset.batch(examples)
    assert batch.source.lengths.tolist() == dataset.source_lengths[examples].tolist()
    assert batch.target_output.lengths.tolist() == dataset.target_lengths[examples].tolist()
    for place, (language, source, target) in enumerate(reversed(expected)):
        assert batch.source.ids[place][batch.source.mask[place]].tolist() == [language, *source, 3]
        assert batch.target_output.ids[place][batch.target_output.mask[place]].tolist() == [*target, 3]


def test_pieces_decode_to_the_text_they_came_from(tokenizer: Tokenizer) -> None:
    [corpus] = build_dataset([text_of(list(zip(SOURCES, TARGETS, strict=True)))], tokenizer, max_tokens=0).corpora
    assert corpus.language_id == tokenizer.language_id("de")
    assert [tokenizer.decode(ids.tolist()).text for ids in corpus.sources] == SOURCES
    assert [tokenizer.decode(ids.tolist()).text for ids in corpus.targets] == TARGETS


def test_both_directions_are_the_same_text_turned_round(tokenizer: Tokenizer) -> None:
    pairs = list(zip(SOURCES, TARGETS, strict=True))
    ahead, back = build_dataset([text_of(pairs, both_directions=True, weight=0.5)], tokenizer, max_tokens=0).corpora
    assert back.sources is ahead.targets
    assert back.targets is ahead.sources
    assert [tokenizer.language_id(code) for code in ("de", "en")] == [ahead.language_id, back.language_id]
    assert ahead.weight == back.weight == 0.5


def test_every_dress_is_a_corpus_that_is_read_in_its_share(tokenizer: Tokenizer) -> None:
    pairs = [("The Cat Runs.", "cat the."), ("the cat", "dog runs.")]
    augmentation = AugmentationConfig(lower_case=0.5, unfinished=0.25)
    text = text_of(pairs, both_directions=True, weight=2.0)
    corpora = build_dataset([text], tokenizer, max_tokens=0, augmentation=augmentation).corpora
    lower, unfinished = ("the cat runs.", "cat the."), ("The Cat Runs", "cat the")
    turned = [pair[::-1] for pair in (*pairs, unfinished)]
    expected = [
        (GERMAN, pairs, 2.0), (GERMAN, [lower], 1.0), (GERMAN, [unfinished], 0.5),
        (GERMAN + 1, turned[:2], 2.0), (GERMAN + 1, [], 1.0), (GERMAN + 1, turned[2:], 0.5),
    ]  # fmt: skip
    assert [corpus.weight for corpus in corpora] == [weight for _, _, weight in expected]
    assert [corpus.language_id for corpus in corpora] == [language for language, _, _ in expected]
    for corpus, (_, read, _) in zip(corpora, expected, strict=True):
        assert [ids.tolist() for ids in corpus.sources] == [tokenizer.encode(source) for source, _ in read]
        assert [ids.tolist() for ids in corpus.targets] == [tokenizer.encode(target) for _, target in read]


def test_of_a_dress_that_is_read_little_a_part_is_held_and_read_more(tokenizer: Tokenizer) -> None:
    pairs = [(f"The Cat {'the ' * row}sat", "cat the") for row in range(40)]
    augmentation = AugmentationConfig(lower_case=0.05, joined=0.05)
    plain, lower, joined = build_dataset([text_of(pairs)], tokenizer, max_tokens=0, augmentation=augmentation).corpora
    assert (len(plain.sources), plain.weight) == (40, 1.0)
    assert lower.weight == joined.weight == 1 / EPOCHS_HELD
    assert 0 < len(lower.sources) < 18  # 8 expected of a fair draw, give or take 4 standard deviations
    assert 0 < len(joined.sources) < 9


def test_two_dresses_are_not_cut_from_the_same_part(tokenizer: Tokenizer) -> None:
    pairs = [(f"The Cät {'the ' * row}sat", "cat the") for row in range(40)]
    augmentation = AugmentationConfig(lower_case=0.05, unaccented=0.05)
    _, *dressed = build_dataset([text_of(pairs)], tokenizer, max_tokens=0, augmentation=augmentation).corpora
    lower, unaccented = ({len(source) for source in corpus.sources} for corpus in dressed)
    assert len(lower) > 2 < len(unaccented)
    assert lower != unaccented


def test_joined_and_mixed_runs_are_not_made_of_the_same_part(tokenizer: Tokenizer) -> None:
    pairs = [(f"the cat {'the ' * row}sat", "cat the") for row in range(40)]
    config = AugmentationConfig(joined=0.1, mixed=0.1)
    _, joined, mixed = build_dataset([text_of(pairs)], tokenizer, max_tokens=0, augmentation=config).corpora
    lengths = [[len(target) for target in corpus.targets] for corpus in (joined, mixed)]
    assert min(map(len, lengths)) > 1
    assert lengths[0] != lengths[1]


def test_the_usual_length_is_that_of_what_is_read() -> None:
    short, long = ([([9] * size, [9])] for size in (3, 50))
    corpora = [corpus_of(GERMAN, *short * 98, *long * 2), corpus_of(FRENCH, *long * 100)]
    assert Dataset(corpora).usual_source_tokens() == 50
    rare = [corpora[0], replace(corpora[1], weight=0.001)]
    assert [Dataset(rare).usual_source_tokens(share) for share in (0.5, 0.97, 0.99)] == [3, 3, 50]


def test_sources_are_read_in_other_pieces_in_their_share(tokenizer: Tokenizer) -> None:
    pairs = [("the cat sat", "cat the"), ("a dog", "dog runs")]
    augmentation = AugmentationConfig(resegmented=0.5)
    text = text_of(pairs, both_directions=True, weight=2.0, epochs=3)
    corpora = build_dataset([text], tokenizer, max_tokens=0, augmentation=augmentation).corpora
    again = build_dataset([text], tokenizer, max_tokens=0, augmentation=augmentation).corpora
    assert len(corpora) == 2 * (1 + DRAWS)
    assert {corpus.epochs for corpus in corpora} == {3}
    for way, start in ((0, 0), (1, 1 + DRAWS)):
        plain, *drawn = corpora[start : start + 1 + DRAWS]
        assert sum(corpus.weight for corpus in drawn) == 0.5 * plain.weight == 1.0
        for corpus in drawn:
            assert [tokenizer.decode(ids.tolist()).text for ids in corpus.sources] == [pair[way] for pair in pairs]
            assert corpus.targets == plain.targets
        assert len({tuple(corpus.sources[0].tolist()) for corpus in drawn}) > 1
    for one, other in zip(corpora, again, strict=True):
        assert [ids.tolist() for ids in one.sources] == [ids.tolist() for ids in other.sources]


def test_pairs_are_joined_to_long_ones_each_once(tokenizer: Tokenizer) -> None:
    pairs = [(f"the cat {'the ' * row}", f"cat {'the ' * row}") for row in range(30)]
    pairs = [(source.strip(), target.strip()) for source, target in pairs]
    text = text_of(pairs, weight=2.0)
    plain, joined = build_dataset([text], tokenizer, max_tokens=0, augmentation=AugmentationConfig(joined=0.25)).corpora
    assert joined.weight == 0.5
    runs = list(zip(joined.sources, joined.targets, strict=True))
    assert len(pairs) / RUN_LENGTHS[-1] <= len(runs) <= len(pairs) / RUN_LENGTHS[0] + 1
    known = {tokenizer.decode(source.tolist()).text: tokenizer.decode(target.tolist()).text
             for source, target in zip(plain.sources, plain.targets, strict=True)}  # fmt: skip
    found = list[str]()
    for source, target in runs:
        parts = re.findall(r"the cat(?: the(?! cat))*", tokenizer.decode(source.tolist()).text)
        assert tokenizer.decode(target.tolist()).text == " ".join(known[part] for part in parts)
        found += parts
    assert len(found) == len(set(found)) >= len(pairs) - 1
    assert set(found) <= set(known)


def test_of_mixed_runs_one_pair_is_in_the_target_language_on_both_sides(tokenizer: Tokenizer) -> None:
    pairs = [(f"the cat {'the ' * row}".strip(), f"dog {'eats ' * row}".strip()) for row in range(30)]
    config = AugmentationConfig(mixed=0.25)
    _, mixed = build_dataset([text_of(pairs)], tokenizer, max_tokens=0, augmentation=config).corpora
    for source, target in zip(mixed.sources, mixed.targets, strict=True):
        sides = [tokenizer.decode(ids.tolist()).text for ids in (source, target)]
        parts = [re.findall(r"(?:the cat(?: the(?! cat))*)|(?:dog(?: eats)*)", side) for side in sides]
        assert [part.count(" ") + part.startswith("dog") for part in parts[0]] == [
            part.count(" ") + 1 for part in parts[1]
        ]
        assert [one == other for one, other in zip(*parts, strict=True)].count(True) == 1


def test_either_direction_may_be_read_more_often(tokenizer: Tokenizer) -> None:
    text = text_of([("the cat", "cat the")], both_directions=True, weight=2.0)
    for back, expected in ((0.0, [2.0, 2.0]), (0.5, [2.0, 0.5])):
        chosen = replace(text, config=replace(text.config, weight_back=back))
        assert [corpus.weight for corpus in build_dataset([chosen], tokenizer, max_tokens=0).corpora] == expected


def linked_text(pairs: list[tuple[str, str]], links: list[set[Link]], *, both_directions: bool = False) -> ParallelText:
    return replace(text_of(pairs, both_directions=both_directions), links=links)


def told(dataset: Dataset, example: int) -> list[tuple[int, int]]:
    """What the target positions of an example are told, eos included."""
    guides = dataset.guides(np.array([example]))
    assert guides is not None
    return [(int(first), int(last)) for first, last in guides[0]]


def _pieces_of_words(text: str, tokenizer: Tokenizer) -> list[list[int]]:
    """The places of the pieces that share a letter with each word."""
    spans = tokenizer.encode_with_spans(text).spans
    return [
        [place for place, (start, end) in enumerate(spans) if start < word.end() and end > word.start()]
        for word in re.finditer(r"\S+", text)
    ]


def test_targets_are_told_where_to_look_and_in_both_directions(tokenizer: Tokenizer) -> None:
    pairs = [("the cat", "eats the dog"), ("dog", "dog")]
    links = {(0, 1), (1, 2)}  # no mirror image of itself: a direction that was mixed up would show
    text = linked_text(pairs, [links, set()], both_directions=True)
    dataset = build_dataset([text], tokenizer, max_tokens=0)
    english, german = (_pieces_of_words(side, tokenizer) for side in pairs[0])

    def stretch(pieces: list[int]) -> tuple[int, int]:
        return pieces[0] + 1, pieces[-1] + 1  # position 0 of a source is its language token

    ahead = [stretch(english[0])] * len(german[1]) + [stretch(english[1])] * len(german[2])
    back = [stretch(german[1])] * len(english[0]) + [stretch(german[2])] * len(english[1])
    for example, expected in ((0, ahead), (2, back)):
        assert [each for each in told(dataset, example) if each != (NOWHERE, NOWHERE)] == expected
        assert told(dataset, example)[-1] == (NOWHERE, NOWHERE)  # eos
    assert set(told(dataset, 1)) == {(NOWHERE, NOWHERE)}
    both = dataset.guides(np.array([1, 0]))
    assert both is not None
    assert both.shape == (2, dataset.target_lengths[0], 2)
    assert (both[0] == NOWHERE).all()  # padding is told nothing either


def test_joined_pairs_are_told_of_their_own_pieces(tokenizer: Tokenizer) -> None:
    pairs = [(word, word) for word in ["the cat", "dog", "the dog", "eats"]]
    links = [{(n, n) for n in range(len(source.split()))} for source, _ in pairs]
    config = AugmentationConfig(joined=0.25, mixed=0.25)
    text = linked_text(pairs * 3, links * 3)
    dataset = build_dataset([text], tokenizer, max_tokens=0, augmentation=config)
    for corpus in dataset.corpora:
        assert corpus.guides is not None
        for source, target, guides in zip(corpus.sources, corpus.targets, corpus.guides, strict=True):
            assert source.tolist() == target.tolist()
            assert len(guides) == len(target)
            for place, (first, last) in enumerate(guides.tolist()):
                assert first <= place <= last or not tokenizer.pieces[target[place]].strip("\u2581")


def test_text_in_other_pieces_is_not_told_what_the_plain_text_is(tokenizer: Tokenizer) -> None:
    text = linked_text([("the cat", "cat the"), ("dog", "dog")], [{(0, 1), (1, 0)}, {(0, 0)}])
    dataset = build_dataset([text], tokenizer, max_tokens=0, augmentation=AugmentationConfig(resegmented=1.0))
    assert len(dataset) == 2 + 2 * DRAWS
    assert all(any(each != (NOWHERE, NOWHERE) for each in told(dataset, example)) for example in (0, 1))
    for example in range(2, len(dataset)):
        assert set(told(dataset, example)) == {(NOWHERE, NOWHERE)}


def test_a_word_said_again_and_compounds_are_read_in_their_share(tokenizer: Tokenizer) -> None:
    pairs = [("the cat eats the dog.", "the dog eats the cat."), ("the dog.", "the cat.")]
    text = linked_text(pairs * 4, [{(2, 2)}, set()] * 4)
    plain, said, compound = build_dataset(
        [text], tokenizer, max_tokens=0, augmentation=AugmentationConfig(emphasised=0.25, compounded=0.25)
    ).corpora
    assert said.weight == compound.weight == 0.25
    assert len(said.sources) == 4  # the other pairs have no linked word
    assert all(len(target) > len(plain.targets[0]) for target in said.targets)
    assert compound.sources
    assert all(len(target) > len(plain.targets[1]) for target in compound.targets)


def test_long_pairs_and_calls_are_read_in_their_share(tokenizer: Tokenizer) -> None:
    long = "the cat " * LENGTHY
    pairs = [(long, "the cat"), ("the cat", long), ("the dog!", "the dog!"), ("the " * LENGTHY, "cat")]
    plain, calls, lengthy = build_dataset(
        [text_of(pairs)], tokenizer, max_tokens=0, augmentation=AugmentationConfig(insisted=0.3, lengthy=0.5)
    ).corpora
    assert (calls.weight, lengthy.weight) == (0.3, 0.5)
    assert [len(target) for target in lengthy.targets] == [len(target) for target in plain.targets[:2]]
    assert all(
        len(source) == len(target) > len(plain.sources[2])
        for source, target in zip(calls.sources, calls.targets, strict=True)
    )


def test_what_is_quoted_may_be_what_the_target_s_corpus_says(tokenizer: Tokenizer) -> None:
    pairs = [("the dog: Cat", "Cat!")] * 60 + [("the dog eats the cat", "under")]
    dataset = build_dataset([text_of(pairs)], tokenizer, max_tokens=0, augmentation=AugmentationConfig(quoted=1.0))
    quoted = dataset.corpora[1]
    assert any("under" in tokenizer.decode(source.tolist()).text for source in quoted.sources)


def test_text_without_links_tells_nothing(tokenizer: Tokenizer) -> None:
    dataset = build_dataset([text_of([("the cat", "cat the")])], tokenizer, max_tokens=0)
    assert dataset.guides(np.array([0])) is None


def test_pairs_with_too_many_pieces_are_dropped_and_counted(tokenizer: Tokenizer) -> None:
    long = "cat " * 50
    text = text_of([("the cat", "cat the"), (long, "cat"), ("cat", long)])
    assert len(build_dataset([text], tokenizer, max_tokens=20)) == 1
    assert str(text.report) == "1 of 3 pairs kept; dropped: too many pieces 2"


def test_without_a_limit_nothing_is_dropped_and_nothing_said(tokenizer: Tokenizer) -> None:
    text = text_of([("cat " * 500, "cat")])
    assert len(build_dataset([text], tokenizer, max_tokens=0)) == 1
    assert str(text.report) == "1 of 1 pairs kept"


def test_a_corpus_of_which_nothing_is_left_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(CorpusError, match=r"Every pair of text\.en has a side over 1 pieces; raise max_tokens"):
        build_dataset([text_of([("the cat", "cat the")])], tokenizer, max_tokens=1)


def test_the_encoder_reads_language_pieces_eos() -> None:
    assert source_ids([7, 8], GERMAN).tolist() == [GERMAN, 7, 8, 3]
    assert source_ids([], GERMAN).tolist() == [GERMAN, 3]
