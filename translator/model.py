"""The model: one embedding table, an encoder, a decoder. The graph that trains; the engine decodes with its weights.

    source ids -> embedding -> encoder -> memory, summary
    target ids -> embedding -> decoder(memory, state) -> readout -> readout . embedding^T + bias = logits

The table is shared by source, target and softmax (Press & Wolf 2017), which is what keeps a checkpoint small.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from translator.attention import Memory
from translator.batch import PaddedIds
from translator.config import ModelConfig
from translator.decoder import Decoder, DecoderOutput, DecoderState
from translator.encoder import Encoder


class EncodedSource(NamedTuple):
    """All that decoding needs of a batch of sources: the attention's memory and the decoder's first state."""

    memory: Memory
    state: DecoderState


class TranslationModel(nn.Module):
    """LSTM encoder-decoder with attention.

    Args:
        vocab_size: V.
        embedding_size: E.
        encoder_layers: Bidirectional layers.
        encoder_size: Units of each encoder direction.
        decoder_layers: Decoder layers.
        decoder_size: H.
        attention_heads: Attention distributions a step.
        lexical_shortcut: Whether the readout sees the attended source embeddings.
        dropout: Probability while training; 0 is off.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        embedding_size: int,
        encoder_layers: int,
        encoder_size: int,
        decoder_layers: int,
        decoder_size: int,
        attention_heads: int,
        dropout: float,
        lexical_shortcut: bool = False,
    ) -> None:
        """Makes the parts with fresh random weights."""
        super().__init__()
        self.embedding: nn.Embedding = nn.Embedding.from_pretrained(
            torch.empty(vocab_size, embedding_size), freeze=False
        )
        if not self.embedding.weight.is_meta:  # there normal_ would import half of PyTorch, for a checkpoint's weights
            nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)
        self.encoder = Encoder(
            input_size=embedding_size, hidden_size=encoder_size, layers=encoder_layers, dropout=dropout
        )
        self.decoder = Decoder(
            input_size=embedding_size,
            hidden_size=decoder_size,
            memory_size=2 * encoder_size,
            layers=decoder_layers,
            heads=attention_heads,
            lexical_shortcut=lexical_shortcut,
            dropout=dropout,
        )
        self.output_bias = nn.Parameter(torch.zeros(vocab_size))
        # Rows of the table have length 1; the encoder and decoder want inputs of unit variance.
        self.embedding_scale = embedding_size**0.5

    @classmethod
    def from_config(cls, config: ModelConfig) -> "TranslationModel":
        """Builds the model that `config` describes."""
        return cls(**vars(config))

    def encode(self, source: PaddedIds) -> EncodedSource:
        """Reads the sources."""
        embedded = self.embed(source.ids)
        encoded = self.encoder(embedded, source)
        memory = self.decoder.attention.remember(encoded.encoder_outputs, embedded, source.mask)
        return EncodedSource(memory, self.decoder.bridge.initial_state(encoded.summary))

    def decode(self, token_ids: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Reads target tokens [B, T] and returns what the decoder says after each."""
        output: DecoderOutput = self.decoder(self.embed(token_ids), state, memory)
        return output

    def forward(self, source: PaddedIds, target_input: PaddedIds) -> DecoderOutput:
        """The teacher-forced pass: every step of known targets at once."""
        encoded = self.encode(source)
        return self.decode(target_input.ids, encoded.state, encoded.memory)

    def embed(self, ids: Tensor) -> Tensor:
        """Looks up ids [B, T] -> [B, T, E]."""
        embedded: Tensor = self.embedding(ids) * self.embedding_scale
        return embedded

    def logits(self, readout: Tensor) -> Tensor:
        """Scores every piece: [..., E] -> [..., V]."""
        return nn.functional.linear(readout, self.embedding.weight, self.output_bias)
