"""The encoder by the kernels: the same layers, their products in int8, the recurrence in one call a layer.

Letters: B sentences · S source length · H units of each direction.
"""

from typing import cast

from torch import Tensor

from translator.batch import PaddedIds
from translator.encoder import Encoder, EncoderOutput
from translator.kernels import Int8Product, Int8Reader
from translator.lstm import LstmLayer
from translator.lstm_cell import parameters_of


class KernelEncoder:
    """Takes the place of an `Encoder` in evaluation.

    Args:
        encoder: It is not needed afterwards.
        bound: Largest magnitude in an embedding.
    """

    def __init__(self, encoder: Encoder, *, bound: float) -> None:
        """Packs the weights."""
        self._layers: list[Int8Reader] = []
        for depth, both in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
            # An output is within 1, and from the second layer on what was read is added to it.
            within = depth or bound
            parameters = [parameters_of(cast(LstmLayer, layer)) for layer in both]
            self._layers.append(
                Int8Reader(
                    [
                        (
                            Int8Product(each.inputs, each.bias, bound=within),
                            Int8Product(each.recurrent, None, bound=1),
                        )
                        for each in parameters
                    ]
                )
            )

    def __call__(self, embedded: Tensor, source: PaddedIds) -> EncoderOutput:
        """Encodes `embedded` [B, S, E] float32, the embeddings of `source`."""
        outputs, summary = embedded, embedded[:, 0]
        for depth, read in enumerate(self._layers):
            outputs, summary = read(outputs, source.lengths, residual=depth > 0)
        return EncoderOutput(outputs, summary)
