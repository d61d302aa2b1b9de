"""The history against whole copies of every hypothesis, with sentences that come and go."""

from math import isnan
from random import Random

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.beam_history import FIRST_STEPS, BeamHistory

BEAM_SIZE = 3


class Copies:
    """One sentence: every row carries its whole hypothesis along.

    (Token, log-probability, row, attention, what the row is remembered by) for each step.
    """

    def __init__(self, slot: int, source_length: int) -> None:
        self.slot, self.source_length, self.age = slot, source_length, 0
        self.rows: list[list[tuple[int, float, int, list[float], list[float]]]] = [[] for _ in range(BEAM_SIZE)]


def step(history: BeamHistory, sentences: list[Copies], random: Random) -> None:
    count, longest = len(sentences), max(sentence.source_length for sentence in sentences)
    token_ids = [[random.randrange(100) for _ in range(BEAM_SIZE)] for _ in sentences]
    counts = [random.randint(1, BEAM_SIZE) for _ in sentences]  # rows that live
    parents = [[random.randrange(count) for _ in range(BEAM_SIZE)] for count in counts]
    generator = torch.Generator().manual_seed(random.randrange(10**6))
    attention_weights = torch.rand(count, BEAM_SIZE, longest, generator=generator)
    lives = (torch.arange(BEAM_SIZE) < torch.tensor(counts)[:, None]).view(-1)
    states = torch.randint(256, (count * BEAM_SIZE, 4), generator=generator).float()
    history.write(
        np.array([sentence.slot for sentence in sentences]),
        np.array([sentence.age for sentence in sentences]),
        token_ids=np.array(token_ids),
        parents=np.array(parents),
        log_probs=-np.array(token_ids, dtype=np.float32),
        first=np.cumsum([0, *counts[:-1]]),
        attention_weights=attention_weights.flatten(0, 1)[lives],
        states=states[lives],
    )
    said = torch.where(lives[:, None], states, torch.nan).tolist()
    for i, sentence in enumerate(sentences):
        looks = attention_weights[i, :, : sentence.source_length].tolist()
        sentence.rows = [
            [*sentence.rows[parent], (token, -float(token), row, looks[parent], said[i * BEAM_SIZE + parent])]
            for row, (token, parent) in enumerate(zip(token_ids[i], parents[i], strict=True))
        ]
        sentence.age += 1


@given(seed=st.integers(0, 10**6), steps=st.integers(1, 2 * FIRST_STEPS + 3))
@settings(max_examples=30)
def test_the_way_back_finds_every_hypothesis(seed: int, steps: int) -> None:
    random, history = Random(seed), BeamHistory(BEAM_SIZE, torch.device("cpu"))
    sentences: list[Copies] = []
    for _ in range(steps):
        leaving = [sentence for sentence in sentences if random.random() < 0.1]
        history.close([sentence.slot for sentence in leaving])
        sentences = [sentence for sentence in sentences if sentence not in leaving]
        arriving = random.randrange(3) if sentences else 2
        sentences += [Copies(slot, random.randrange(1, 9)) for slot in history.open(arriving)]
        step(history, sentences, random)
        for sentence in sentences:
            for row, copy in enumerate(sentence.rows):
                tokens, log_probs, rows, looks, said = (list(column) for column in zip(*copy, strict=True))
                assert history.trace(sentence.slot, length=len(copy), row=row) == (tokens, log_probs, rows)
                # Attention and state are kept with the old row: the parent of each row passed through.
                if len(copy) > 1:
                    slot, length = sentence.slot, sentence.source_length
                    found = history.recall([slot] * 2, [[0], [0, *rows[:-1]]], length)  # beside a short one
                    (_, later), (_, states) = (part.tolist() for part in found)
                    assert later[1:] == looks[1:]
                    pairs = list(zip(states, said, strict=True))[1:]
                    assert all(one == other for one, other in pairs if not isnan(other[0])), "of rows that lived"


def test_no_two_live_sentences_share_a_slot() -> None:
    history = BeamHistory(BEAM_SIZE, torch.device("cpu"))
    first = history.open(3)
    history.close(first[1:2])
    assert len({first[0], first[2], *history.open(4)}) == 6
