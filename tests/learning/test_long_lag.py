"""The memory cell at work: a token is recalled 200 steps after it was read, through 200 random others.

Why nothing but the memory cell can do it. The key is among the tokens that the *decoder* reads; the source is the same
for every row. Attention and the bridge look at the source only, so nothing in them depends on the key: whatever the
model says of the key 200 tokens later has come through the recurrent state of the decoder. Distractors are drawn anew
for every batch, so none is learnt by heart. That it is the cell (the "constant error carousel") and not the hidden
output that carries the key is shown half-way through: rows that exchange their cells exchange their answers, rows that
exchange their hidden outputs do not.

The model is the one that translates, as it is initialised, a forget gate bias of 1 included. It is taught with lags
that double as it masters them: an error that has to come back through 200 steps finds no way at first, because an
unlearnt forget gate of 0.73 a step leaves nothing of it; a gate that has learnt to stay open for 10 leaves enough.

Source: Hochreiter & Schmidhuber 1997, section 5.2 (long time lags, distractors); Bengio et al. 2009 (curriculum).
"""

from typing import Literal

import pytest
import torch
from torch import Tensor

from training.loss import token_loss
from translator.batch import SequencePair, pair
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

pytestmark = pytest.mark.learning

LAG, FIRST_LAG = 200, 10
LANGUAGE_ID, KEYS, DISTRACTORS, VOCAB_SIZE = 4, (5, 21), (21, 31), 31
BATCH, MAX_UPDATES = 32, 1500
MASTERED, LEARNT = 0.1, 0.02  # nats, of the running mean of the loss; knowing nothing costs log(16) = 2.8
WANTED = 0.95


def draw(size: int, lag: int) -> tuple[SequencePair, Tensor]:
    """Makes rows that read bos, key, `lag` distractors and should then say the key; returns them and the keys [B]."""
    keys = torch.randint(*KEYS, (size, 1))
    targets = torch.cat([keys, torch.randint(*DISTRACTORS, (size, lag)), keys], dim=1)
    sources = [[LANGUAGE_ID, Tokenizer.eos_id]] * size
    return pair(sources, targets.tolist(), pad_id=Tokenizer.pad_id, bos_id=Tokenizer.bos_id), keys[:, 0]


def learn() -> TranslationModel:
    """Teaches a fresh model the last token of such rows, with lags that grow to the full one."""
    torch.manual_seed(1)
    model = TranslationModel(
        vocab_size=VOCAB_SIZE, embedding_size=32, encoder_layers=1, encoder_size=8, decoder_layers=1, decoder_size=64,
        attention_heads=1, dropout=0.0,
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    lag, running = FIRST_LAG, 3.0
    for _ in range(MAX_UPDATES):
        batch, _ = draw(BATCH, lag)
        readout = model(batch.source, batch.target_input).readout[:, -1:]  # [B, 1, E]
        wanted, mask = batch.target_output.ids[:, -1:], batch.target_output.mask[:, -1:]
        table = model.embedding.weight, model.output_bias
        loss = token_loss(readout, *table, wanted, mask, label_smoothing=0.0).smoothed / BATCH
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        running += 0.2 * (loss.item() - running)
        if running < MASTERED and lag < LAG:
            lag, running = min(LAG, 2 * lag), 3 * MASTERED
        elif running < LEARNT:
            break
    return model.eval()


@torch.no_grad()
def answers(model: TranslationModel, batch: SequencePair, *, exchange: Literal["hidden", "cell"] | None) -> Tensor:
    """Returns what the model says in the end [B]; half-way every row may get a state of the row before it."""
    encoded, ids = model.encode(batch.source), batch.target_input.ids
    assert torch.equal(encoded.memory.values, encoded.memory.values[:1].expand_as(encoded.memory.values))
    half = ids.shape[1] // 2
    state = model.decode(ids[:, :half], encoded.state, encoded.memory).state
    if exchange == "cell":
        state = state._replace(cell=state.cell.roll(1, dims=1))
    if exchange == "hidden":
        state = state._replace(hidden=state.hidden.roll(1, dims=1))
    readout = model.decode(ids[:, half:], state, encoded.memory).readout
    return model.logits(readout[:, -1]).argmax(dim=-1)


@pytest.fixture(scope="module")
def model() -> TranslationModel:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # 200 small products after one another: a second thread only waits for the first
    try:
        return learn()
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def rows() -> tuple[SequencePair, Tensor]:
    torch.manual_seed(2)
    return draw(512, LAG)


def share(found: Tensor, expected: Tensor) -> float:
    return float((found == expected).float().mean())


def test_a_token_is_recalled_200_steps_later(model: TranslationModel, rows: tuple[SequencePair, Tensor]) -> None:
    batch, keys = rows
    assert share(answers(model, batch, exchange=None), keys) >= WANTED


def test_who_is_given_the_cell_of_another_recalls_the_key_of_the_other(
    model: TranslationModel, rows: tuple[SequencePair, Tensor]
) -> None:
    batch, keys = rows
    assert share(answers(model, batch, exchange="cell"), keys.roll(1)) >= WANTED


def test_who_is_given_the_hidden_output_of_another_recalls_its_own_key(
    model: TranslationModel, rows: tuple[SequencePair, Tensor]
) -> None:
    batch, keys = rows
    assert share(answers(model, batch, exchange="hidden"), keys) >= WANTED
