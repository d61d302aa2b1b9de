"""The memory cell at work: a token is recalled 200 steps after it was read, through 200 random others.

Why nothing but the memory cell can do it. The key is among the tokens that the *decoder* reads; the source is the same
for every example. Attention looks at the source only, so neither its keys, its values nor the bridge holds anything
that depends on the key: whatever the model says of the key 200 tokens later has come through the recurrent state of
the decoder, and every batch brings other distractors, so none can be learnt by heart. That it is the cell (the
"constant error carousel") and not the hidden output that carries it is then shown by wiping either half-way.

Source: Hochreiter & Schmidhuber 1997, section 5.2 (long time lags with distractors); the memory is taught with lags
that grow, and is judged at the full one.
"""

import pytest
import torch
from torch import Tensor

from training.loss import token_loss
from translator.batch import SequencePair, pair
from translator.decoder import DecoderState
from translator.model import TranslationModel
from translator.tokenizer import Tokenizer

pytestmark = pytest.mark.learning

LAG = 200
LANGUAGE_ID, KEYS, DISTRACTORS, VOCAB_SIZE = 4, (5, 21), (21, 31), 31
WANTED = 0.95
CHANCE = 1 / (KEYS[1] - KEYS[0])


def draw(size: int, lag: int) -> tuple[SequencePair, Tensor]:
    """Makes rows that read bos, key, `lag` distractors and should then say the key; returns them and the keys [B]."""
    keys = torch.randint(*KEYS, (size, 1))
    targets = torch.cat([keys, torch.randint(*DISTRACTORS, (size, lag)), keys], dim=1)
    sources = [[LANGUAGE_ID, Tokenizer.eos_id]] * size
    return pair(sources, targets.tolist(), pad_id=Tokenizer.pad_id, bos_id=Tokenizer.bos_id), keys[:, 0]
