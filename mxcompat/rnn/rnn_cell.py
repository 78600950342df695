"""Recurrent cells (public path: ``mxnet.rnn.rnn_cell``)."""

from mxcompat import initializer as init  # noqa: F401
from mxcompat import ndarray, symbol  # noqa: F401
from mxcompat.base import numeric_types, string_types  # noqa: F401
from mxcompat.rnn.base_cell import BaseRNNCell, RNNParams
from mxcompat.rnn.conv_cells import BaseConvRNNCell, ConvGRUCell, ConvLSTMCell, ConvRNNCell
from mxcompat.rnn.fused_cell import FusedRNNCell
from mxcompat.rnn.modifier_cells import ModifierCell, ResidualCell, ZoneoutCell
from mxcompat.rnn.plain_cells import GRUCell, LSTMCell, RNNCell
from mxcompat.rnn.stacked_cells import BidirectionalCell, DropoutCell, SequentialRNNCell

__all__ = ["BaseConvRNNCell", "BaseRNNCell", "BidirectionalCell", "ConvGRUCell", "ConvLSTMCell", "ConvRNNCell"]
__all__ += ["DropoutCell", "FusedRNNCell", "GRUCell", "LSTMCell", "ModifierCell", "RNNCell", "RNNParams"]
__all__ += ["ResidualCell", "SequentialRNNCell", "ZoneoutCell"]
