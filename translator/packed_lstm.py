"""An LSTM layer that only reads, its weights laid out once as oneDNN wants them.

PyTorch hands a layer's weights to oneDNN as they are, which lays them out anew in every call: more than half of the
time of a call for a few sentences. What comes out is the same to the last bit.
"""

from typing import cast

import torch
from torch import Tensor, nn

from translator.encoder import Encoder
from translator.lstm import LstmLayer

_PACK = "_reorder_mkldnn_rnn_layer_weight"
_LSTM = 2  # oneDNN's number for this kind of layer


def can_pack(device: torch.device) -> bool:
    """Whether PyTorch has oneDNN here; asks for a private name, and where that is missing the answer is no."""
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, _PACK)


def pack_layers(encoder: Encoder, dtype: torch.dtype) -> Encoder:
    """Returns an encoder that gives the same, with packed layers; the one that is given stays as it is."""
    layers = [cast(LstmLayer, layer) for layer in (*encoder.forwards, *encoder.backwards)]
    depth, first = len(encoder.forwards), layers[0]
    with torch.device("meta"):
        packed = Encoder(input_size=first.input_size, hidden_size=first.hidden_size, layers=depth, dropout=0.0)
    directions = [PackedLstm(layer, dtype) for layer in layers]
    packed.forwards, packed.backwards = nn.ModuleList(directions[:depth]), nn.ModuleList(directions[depth:])
    return packed.eval()


class PackedLstm(nn.Module):
    """Takes the place of an `LstmLayer` in evaluation, on a CPU.

    Args:
        layer: It is not needed afterwards.
        dtype: What it computes in.
    """

    def __init__(self, layer: LstmLayer, dtype: torch.dtype) -> None:
        """Lays the weights out."""
        super().__init__()
        inputs, recurrent, *self._biases = (weight.detach().to(dtype) for weight in layer.all_weights[0])
        self._width = layer.hidden_size
        pack = getattr(torch.ops.mkldnn, _PACK)
        self._weights: list[Tensor] = pack(
            inputs, recurrent, hidden_size=self._width, reverse=False, has_biases=True, batch_first=False
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Reads `inputs` [B, T, in] from a state of zeros: outputs [B, T, H], hidden and cell [1, B, H]."""
        start = inputs.new_zeros(1, len(inputs), self._width)
        by_time = inputs.transpose(0, 1).contiguous()
        outputs, hidden, cell, _ = torch.ops.aten.mkldnn_rnn_layer(
            by_time, *self._weights, *self._biases, start, start, reverse=False, batch_sizes=[], mode=_LSTM,
            hidden_size=self._width, num_layers=1, has_biases=True, bidirectional=False, batch_first=False, train=False,
        )  # fmt: skip
        return outputs.transpose(0, 1), (hidden, cell)
