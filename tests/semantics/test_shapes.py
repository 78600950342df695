"""Operators that change shapes, each as real MXNet 1.9.1 answered."""

from __future__ import annotations

import mxcompat as mx
from tests.semantics.shorthand import exc

nd, sym, V = mx.nd, mx.sym, mx.sym.Variable


def test_reshape_codes() -> None:
    """1. Reshape codes: 0 copies the dimension at the same place, -1 is inferred, -2 takes all that remain, -3 merges two,
    -4 splits one into the two that follow.
    """
    assert [
        nd.zeros((2, 3, 4)).reshape(s).shape
        for s in [(0, -1), (-2,), (2, -2), (-3, 4), (0, -3), (-4, 1, 2, -2), (2, -4, -1, 3, -2), (-3, -2)]
    ] == [(2, 12), (2, 3, 4), (2, 3, 4), (6, 4), (2, 12), (1, 2, 3, 4), (2, 1, 3, 4), (6, 4)]


def test_reshape_from_the_right() -> None:
    """2. reverse=True matches the codes from the right-hand end."""
    assert nd.zeros((10, 5, 4)).reshape((-1, 0)).shape == (40, 5)
    assert nd.zeros((10, 5, 4)).reshape((-1, 0), reverse=True).shape == (50, 4)


def test_reshape_checks_the_size() -> None:
    """3. The NDArray method raises when the target is larger; so does nd.reshape here, where the original reads foreign
    memory.
    """
    assert exc(lambda: nd.reshape(nd.ones((2, 3)), shape=(4, 2))) == "MXNetError"
    assert exc(lambda: nd.ones((2, 3)).reshape((4, 2))) == "MXNetError"


def test_reshape_target_shape() -> None:
    """4. mx.sym.Reshape with an empty shape and an old target_shape works: 0 in target_shape means inferred."""
    assert sym.Reshape(V("a"), target_shape=(2, 0)).infer_shape(a=(2, 3, 4))[1] == [(2, 12)]


def test_names_that_are_other_operators() -> None:
    """5. crop is an alias of slice; Crop is another operator; split is SliceChannel; flip is reverse; Softmax is
    SoftmaxOutput (not softmax).
    """
    assert sym.crop(V("a"), begin=(0, 0), end=(1, 2)).infer_shape(a=(3, 4))[1] == [(1, 2)]
    assert sym.Softmax(V("a"), name="s").list_arguments() == ["a", "s_label"]
    assert [x.shape for x in nd.split(nd.ones((2, 4)), num_outputs=2)] == [(2, 2), (2, 2)]
    assert nd.flip(nd.array([1, 2]), axis=0).asnumpy().tolist() == [2, 1]
    assert sym.Crop(V("a"), V("b"), num_args=2).infer_shape(a=(1, 1, 4, 4), b=(1, 1, 2, 2))[1] == [(1, 1, 2, 2)]


def test_slice_channel_numbers_its_outputs() -> None:
    """6. SliceChannel outputs are always numbered (name_output0 ...), also when there is a single one."""
    assert sym.SliceChannel(V("a"), num_outputs=2, name="s").list_outputs() == ["s_output0", "s_output1"]
    assert sym.SliceChannel(V("a"), num_outputs=1, name="s").list_outputs() == ["s_output0"]


def test_slice_axis_bounds() -> None:
    """7. slice_axis demands begin < end; an end beyond the axis raises; None means to the end."""
    assert nd.slice_axis(nd.ones((2, 5)), axis=1, begin=-2, end=None).shape == (2, 2)
    assert exc(lambda: nd.slice_axis(nd.ones((2, 5)), axis=1, begin=0, end=9)) == "MXNetError"
    assert exc(lambda: nd.slice_axis(nd.ones((2, 5)), axis=1, begin=3, end=2)) == "MXNetError"


def test_slice_clips_and_steps_back() -> None:
    """8. slice accepts an end beyond the axis (clipped); step may be negative. An empty result has a 0 in its
    shape.
    """
    assert nd.slice(nd.ones((4, 5)), begin=(1, 0), end=(100, 2)).shape == (3, 2)
    assert nd.slice(nd.ones((2, 3)), begin=(1,), end=(1,)).asnumpy().shape == (0, 3)
    assert nd.slice(nd.arange(5), begin=(None,), end=(None,), step=(-2,)).asnumpy().tolist() == [4.0, 2.0, 0.0]


def test_pad_takes_4d_and_5d() -> None:
    """9. Pad works on 4-D and 5-D only, and never on the first two axes."""
    assert exc(lambda: nd.pad(nd.ones((2, 3)), mode="constant", pad_width=(0, 0, 1, 1))) == "MXNetError"
    padded = nd.pad(nd.ones((1, 1, 1, 2, 3)), mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 0, 0, 2, 1))
    assert padded.shape == (1, 1, 3, 2, 6)
    channels = (0, 0, 1, 0, 1, 1, 0, 0)
    assert exc(lambda: nd.pad(nd.ones((1, 1, 2, 3)), mode="constant", pad_width=channels)) == "MXNetError"


def test_transpose_expand_swap() -> None:
    """10. transpose without axes reverses; expand_dims accepts -1; swapaxes arguments are called dim1 and dim2."""
    assert nd.transpose(nd.ones((2, 3, 4))).shape == (4, 3, 2)
    assert nd.expand_dims(nd.ones((2, 3)), axis=-1).shape == (2, 3, 1)
    assert nd.swapaxes(nd.ones((2, 3, 4)), dim1=0, dim2=2).shape == (4, 3, 2)


def test_flatten_is_always_2d() -> None:
    """11. The result of Flatten is always 2-D, also for one-dimensional input."""
    assert nd.Flatten(nd.ones((5,))).shape == (5, 1)
    assert nd.Flatten(nd.ones((2, 3, 4))).shape == (2, 12)


def test_no_0d_arrays() -> None:
    """12. There are no 0-D arrays by default: full reductions and element reads give shape (1,)."""
    assert nd.ones((2, 3)).sum().shape == (1,)
    assert nd.ones((2, 3))[0, 0].shape == (1,)
    assert nd.ones((2, 3)).argmax().shape == (1,)


def test_squeeze_leaves_one_axis() -> None:
    """13. squeeze of an all-ones shape leaves (1,)."""
    assert nd.squeeze(nd.ones((1, 1))).shape == (1,)


def test_depth_to_space_is_block_major() -> None:
    """14. depth_to_space splits channels block-major (block, block, C/b^2), i.e. not like torch.pixel_shuffle."""
    space = nd.depth_to_space(nd.arange(8).reshape((1, 8, 1, 1)), block_size=2)
    assert space.asnumpy().ravel().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    back = nd.space_to_depth(nd.arange(4).reshape((1, 1, 2, 2)), block_size=2)
    assert back.asnumpy().ravel().tolist() == [0, 1, 2, 3]


def test_reverse_rejects_negative_axes() -> None:
    """15. reverse rejects a negative axis; flip is the same operator."""
    assert exc(lambda: nd.reverse(nd.ones((2, 3)), axis=-1).asnumpy()) == "MXNetError"
    assert nd.reverse(nd.array([[1, 2]]), axis=1).asnumpy().tolist() == [[2, 1]]


def test_where_with_a_condition_of_rows() -> None:
    """16. where accepts a 1-D condition that selects whole rows; any non-zero (also negative) is true."""
    assert nd.where(nd.array([-1, 0, 0.5]), nd.ones((3, 2)), nd.zeros((3, 2))).asnumpy().tolist() == [
        [1.0, 1.0],
        [0.0, 0.0],
        [1.0, 1.0],
    ]
    assert nd.where(nd.array([[1, 0]]), nd.ones((1, 2)), nd.zeros((1, 2))).asnumpy().tolist() == [[1, 0]]
