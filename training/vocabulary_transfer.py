"""A model's weights for another vocabulary: what it knows of words it keeps, though they are spelt anew.

A piece that both vocabularies have keeps its row of the embedding table. A new one begins as the mean of the rows that
spelt it before, a new language's token as the mean of the old languages'. Nothing else of the model knows of pieces.

Source: Gee et al. 2022, "Fast Vocabulary Transfer for Language Model Compression", section 2.2.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from translator.tokenizer import Tokenizer


def transfer_vocabulary(weights: Mapping[str, Tensor], old: Tokenizer, new: Tokenizer) -> dict[str, Tensor]:
    """Returns a model's `weights` for the pieces of `new` instead of those of `old`, by name.

    Every row [E] of the embedding table, and every output bias, is the mean of those of the old pieces it stands for.
    """
    stands_for = [_old_ids(piece, old, new) for piece in new.pieces]
    return dict(weights) | {
        name: torch.stack([weights[name][ids].mean(dim=0) for ids in stands_for])
        for name in ("embedding.weight", "output_bias")
    }


def _old_ids(piece: str, old: Tokenizer, new: Tokenizer) -> list[int]:
    """The ids of `old` that spell a piece of `new`; at least one."""
    if piece in old.pieces:
        return [old.pieces.index(piece)]
    if piece in {new.pieces[new.language_id(language)] for language in new.languages}:
        return [old.language_id(language) for language in old.languages]
    return old.encode(new.decode([new.pieces.index(piece)]).text) or [old.unk_id]
