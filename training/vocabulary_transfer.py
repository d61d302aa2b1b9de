"""A model's weights for another vocabulary: what it knows of words it keeps, though they are spelt anew.

A piece that both vocabularies have keeps its row of the embedding table. A new one begins as the mean of the rows that
spelt it before, a new language's token as the mean of the old languages'. Nothing else of the model knows of pieces.

Source: Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression", section 2.2.
"""

import torch
from torch import Tensor

from translator.checkpoint import Checkpoint
from translator.tokenizer import Tokenizer


def transfer_vocabulary(checkpoint: Checkpoint, tokenizer: Tokenizer) -> dict[str, Tensor]:
    """Returns the weights of `checkpoint` for the pieces of `tokenizer`, by name.

    Every row [E] of the embedding table, and every output bias, is the mean of those of the old pieces it stands for.
    """
    weights = dict(checkpoint.model.state_dict())
    stands_for = [_old_ids(piece, checkpoint.tokenizer, tokenizer) for piece in tokenizer.pieces]
    for name in ("embedding.weight", "output_bias"):
        weights[name] = torch.stack([weights[name][ids].mean(dim=0) for ids in stands_for])
    return weights


def _old_ids(piece: str, old: Tokenizer, new: Tokenizer) -> list[int]:
    """The ids of `old` that spell a piece of `new`; at least one."""
    if piece in old.pieces:
        return [old.pieces.index(piece)]
    if piece in {new.pieces[new.language_id(language)] for language in new.languages}:
        return [old.language_id(language) for language in old.languages]
    return old.encode(new.decode([new.pieces.index(piece)]).text) or [old.unk_id]
