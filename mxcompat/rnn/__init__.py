"""``mx.rnn``: recurrent cells of symbols, their checkpoints and batches of sentences (public path: ``mxnet.rnn``)."""

from mxcompat import initializer as init
from mxcompat import ndarray, symbol
from mxcompat.base import numeric_types, string_types
from mxcompat.rnn import io, rnn, rnn_cell
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams
from mxcompat.rnn.conv_cells import BaseConvRNNCell, ConvGRUCell, ConvLSTMCell, ConvRNNCell
from mxcompat.rnn.fused_cell import FusedRNNCell
from mxcompat.rnn.io import BucketSentenceIter, DataBatch, DataDesc, DataIter, encode_sentences
from mxcompat.rnn.modifier_cells import ModifierCell, ResidualCell, ZoneoutCell
from mxcompat.rnn.plain_cells import GRUCell, LSTMCell, RNNCell
from mxcompat.rnn.rnn import (
    do_rnn_checkpoint,
    load_checkpoint,
    load_rnn_checkpoint,
    rnn_unroll,
    save_checkpoint,
    save_rnn_checkpoint,
)
from mxcompat.rnn.stacked_cells import BidirectionalCell, DropoutCell, SequentialRNNCell

__all__ = [*rnn_cell.__all__, *rnn.__all__, *io.__all__, "io", "rnn", "rnn_cell"]
