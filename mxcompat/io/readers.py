"""The iterators over files that ``mx.io`` has, and their parameters in the original's order.

The signature is the schema, as in ``mxcompat.ops``.
"""

from typing import Any

from mxcompat.base import MXNetError
from mxcompat.io.csv import CSVRows, CSVSamples
from mxcompat.io.det_record import detection_batches
from mxcompat.io.image_record import image_batches
from mxcompat.io.libsvm import LibSVMRows, LibSVMSamples
from mxcompat.io.loader import BatchLoader
from mxcompat.io.mnist import open_mnist
from mxcompat.io.native import DTYPES, data_iter
from mxcompat.ops.schema import Bool, Enum, Float, Floats, Int, NoEffect, Optional, Params, Shape, Str

__all__: list[str] = []


@data_iter("CSVIter")
def csv_iter(
    *, data_csv: Str, data_shape: Shape(min=1), label_csv: Str = "NULL", label_shape: Shape(min=1) = (1,),
    batch_size: Int(min=1), round_batch: Bool = True, prefetch_buffer: NoEffect(Int(min=0)) = 4,
    ctx: NoEffect(Enum("cpu", "gpu")) = "gpu", dtype: Optional(Enum(*DTYPES)) = None,
) -> Any:  # fmt: skip
    """Batches of the rows of comma separated numbers in text files, each row reshaped to ``data_shape``.

    Labels are the rows of ``label_csv``, or zeros. ``dtype`` is float32 (also when not given), int32 or int64, for data
    and labels. With ``round_batch`` the last batch is filled up with the first rows and the next epoch begins behind
    these, else with rows of the batch before. Paths may be several (``a;b``), folders or patterns. A row whose length is
    not that of the shape raises ``MXNetError`` naming file and line.
    """
    if dtype not in (None, "float32", "int32", "int64"):
        raise MXNetError(f"CSVIter: dtype={dtype!r} is not supported for CSVIter, expected float32, int32 or int64")
    data = CSVRows(data_csv, "data_csv", data_shape, dtype or "float32")
    label = None if label_csv == "NULL" else CSVRows(label_csv, "label_csv", label_shape, dtype or "float32")
    return BatchLoader(CSVSamples(data, label), batch_size, round_batch)


@data_iter("LibSVMIter")
def libsvm_iter(
    *, data_libsvm: Str, data_shape: Shape(ndims=(1,), min=1), label_libsvm: Str = "NULL",
    label_shape: Shape(ndims=(1,), min=1) = (1,), num_parts: Int(min=1) = 1, part_index: Int(min=0) = 0,
    batch_size: Int(min=1), round_batch: Bool = True, prefetch_buffer: NoEffect(Int(min=0)) = 4,
    ctx: NoEffect(Enum("cpu", "gpu")) = "gpu", dtype: Optional(Enum(*DTYPES)) = None,
) -> Any:  # fmt: skip
    """Batches of csr arrays (N, size) of float32 from text files: on each line a label, then pairs ``index:value``.

    The first index is 0; an index that is too large, or what is no number, raises ``MXNetError`` naming file and line.
    Labels are those of the lines, (N,), or with ``label_libsvm`` the rows of other files, csr arrays of ``label_shape``.
    The last batch is filled up with the first rows and the next epoch begins behind these. Parts are even in bytes.
    Paths may be several (``a;b``), folders or patterns. ``round_batch`` has to be true and ``dtype`` can only be float32,
    as in the original.
    """
    if not round_batch:
        raise MXNetError("LibSVMIter: round_batch=False is not supported for sparse data, as in the original")
    if dtype not in (None, "float32"):
        raise MXNetError(f"LibSVMIter: dtype={dtype!r} is not supported, its data are float32")
    if (label_libsvm == "NULL") != (label_shape == (1,)):
        raise MXNetError(f"LibSVMIter: label_shape={label_shape}: expected (1,) without label_libsvm, more with it")
    if part_index >= num_parts:
        raise MXNetError(f"LibSVMIter: part_index={part_index} is not below num_parts={num_parts}")
    data = LibSVMRows(data_libsvm, "data_libsvm", data_shape[0], num_parts, part_index)
    label = None
    if label_libsvm != "NULL":
        label = LibSVMRows(label_libsvm, "label_libsvm", label_shape[0], num_parts, part_index)
    return BatchLoader(LibSVMSamples(data, label), batch_size, round_batch)


@data_iter("MNISTIter", ignored=("input_shape", "data_shape"))
def mnist_iter(
    *, image: Str = "./train-images-idx3-ubyte", label: Str = "./train-labels-idx1-ubyte", batch_size: Int(min=1) = 128,
    shuffle: Bool = True, flat: Bool = False, seed: Int = 0, silent: Bool = False, num_parts: Int(min=1) = 1,
    part_index: Int(min=0) = 0, prefetch_buffer: NoEffect(Int(min=0)) = 4, ctx: NoEffect(Enum("cpu", "gpu")) = "gpu",
    dtype: Optional(Enum(*DTYPES)) = None,
) -> Any:  # fmt: skip
    """Batches of images (N, 1, rows, columns), or (N, pixels) when ``flat``, of float32 in [0, 1): pixel / 256.

    ``shuffle`` brings them into one order for all epochs, the original's for the same ``seed``. Samples that do not fill
    the last batch are left out. Files may be gzipped. ``dtype`` can only be float32, as in the original.
    """
    if dtype not in (None, "float32"):
        raise MXNetError(f"MNISTIter: dtype={dtype!r} is not supported, its data are float32")
    return open_mnist(
        image, label, batch_size=batch_size, shuffle=shuffle, flat=flat, seed=seed, silent=silent,
        num_parts=num_parts, part_index=part_index,
    )  # fmt: skip


# keywords of the original's own examples that no version from 1.0 on has read
_MISSPELT = (
    "and_mirror", "max_random_aspect_ratio", "max_random_h", "max_random_l", "max_random_rotate_angle", "max_random_s",
    "max_random_shear_ratio", "rand_corp", "random_mirror",
)  # fmt: skip


def _image_reader(name: str, dtype: str | None, first_version: bool = False) -> Any:
    """The function behind an iterator over images, whose parameters are those of ``ImageRecordIter``."""

    def reader(
        *, path_imglist: Str = "", path_imgrec: Str = "", path_imgidx: Str = "", aug_seq: Str = "aug_default",
        label_width: Int(min=1) = 1, data_shape: Shape(ndims=(3,), min=1), preprocess_threads: Int(min=1) = 4,
        verbose: Bool = True, num_parts: Int(min=1) = 1, part_index: Int(min=0) = 0, device_id: Int(min=-1) = 0,
        shuffle_chunk_size: Int(min=0) = 0, shuffle_chunk_seed: Int = 0, seed_aug: Optional(Int) = None,
        shuffle: Bool = False, seed: Int = 0, batch_size: Int(min=1), round_batch: Bool = True,
        prefetch_buffer: Int(min=0) = 4, ctx: NoEffect(Enum("cpu", "gpu")) = "gpu", dtype: Optional(Enum(*DTYPES)) = None,
        resize: Int = -1, rand_crop: Bool = False, random_resized_crop: Bool = False, max_rotate_angle: Int(min=0) = 0,
        max_aspect_ratio: Float = 0.0, min_aspect_ratio: Optional(Float) = None, max_shear_ratio: Float = 0.0,
        max_crop_size: Int = -1, min_crop_size: Int = -1, max_random_scale: Float = 1.0, min_random_scale: Float = 1.0,
        max_random_area: Float = 1.0, min_random_area: Float = 1.0, max_img_size: Float = 1e10, min_img_size: Float = 0.0,
        brightness: Float = 0.0, contrast: Float = 0.0, saturation: Float = 0.0, pca_noise: Float = 0.0,
        random_h: Int = 0, random_s: Int = 0, random_l: Int = 0, rotate: Int = -1, fill_value: Int = 255,
        inter_method: Int = 1, pad: Int = 0, mirror: Bool = False, rand_mirror: Bool = False, mean_img: Str = "",
        mean_r: Float = 0.0, mean_g: Float = 0.0, mean_b: Float = 0.0, mean_a: Float = 0.0, std_r: Float = 1.0,
        std_g: Float = 1.0, std_b: Float = 1.0, std_a: Float = 1.0, scale: Float = 1.0, max_random_contrast: Float = 0.0,
        max_random_illumination: Float = 0.0, rotate_list: Shape() = (),
    ) -> Any:  # fmt: skip
        params = Params(locals())
        chosen = params.pop("dtype")
        if chosen not in fixed:
            known = ", ".join(type_name for type_name in fixed if type_name)
            raise MXNetError(f"{name}: dtype={chosen!r}: unknown dtype, expected {known}")
        return image_batches(params, name, chosen or fixed[1], first_version)

    fixed = (None, dtype) if dtype else (None, "float32", "uint8", "int8")
    reader.__doc__ = f"""Batches of images (N, *data_shape) of {dtype or "float32, uint8 or int8"}, red first, from record files.

    In this order an image is: decoded; its shorter edge resized to ``resize``; rotated (``max_rotate_angle``, ``rotate``,
    ``rotate_list``), sheared, scaled and stretched (``max_shear_ratio``, ``*_random_scale``, ``*_aspect_ratio``), its size
    kept within ``*_img_size``; padded by ``pad``; a part of it cut out, in the middle, at a random place (``rand_crop``),
    of a random size (``*_crop_size``), or of random area and aspect ratio (``random_resized_crop``); changed in
    ``brightness``, ``contrast``, ``saturation``, in hue, saturation and lightness (``random_h``, ``_s``, ``_l``) and by
    ``pca_noise``; mirrored; normalized: ``(pixel - mean) * contrast / std * scale + illumination``, with the mean of a
    channel or of ``mean_img``, a file that is made when it is not there. Empty pixels become ``fill_value``. uint8 and
    int8 are not scaled.

    Labels, ``label_width`` of them, are those of the records or of the ``.lst`` file ``path_imglist``. ``shuffle`` needs
    ``path_imgidx`` to shuffle more than 8 MiB at a time. Decoding runs in ``preprocess_threads`` threads, and
    ``prefetch_buffer`` batches ahead. Random choices do not depend on the number of threads; they are the original's
    with one thread. A record that cannot be used raises ``MXNetError`` naming file and record in ``next``.
    """
    return data_iter(name, misspelt=_MISSPELT)(reader)


for _name, _dtype, _first_version in (
    ("ImageRecordIter", None, False),
    ("ImageRecordUInt8Iter", "uint8", False),
    ("ImageRecordInt8Iter", "int8", False),
    ("ImageRecordIter_v1", "float32", True),
    ("ImageRecordUInt8Iter_v1", "uint8", True),
):
    _image_reader(_name, _dtype, _first_version)


@data_iter("ImageDetRecordIter")
def image_det_record_iter(
    *, path_imglist: Str = "", path_imgrec: Str = "./data/imgrec.rec", aug_seq: Str = "det_aug_default",
    label_width: Int = -1, data_shape: Shape(ndims=(3,), min=1), preprocess_threads: Int(min=1) = 4, verbose: Bool = True,
    num_parts: Int(min=1) = 1, part_index: Int(min=0) = 0, shuffle_chunk_size: Int(min=0) = 0,
    shuffle_chunk_seed: Int = 0, label_pad_width: Int = 0, label_pad_value: Float = -1.0, shuffle: Bool = False,
    seed: Int = 0, batch_size: Int(min=1), round_batch: Bool = True, prefetch_buffer: Int(min=0) = 4,
    ctx: NoEffect(Enum("cpu", "gpu")) = "gpu", dtype: Optional(Enum(*DTYPES)) = None, resize: Int = -1,
    rand_crop_prob: Float = 0.0, min_crop_scales: Floats = (0.0,), max_crop_scales: Floats = (1.0,),
    min_crop_aspect_ratios: Floats = (1.0,), max_crop_aspect_ratios: Floats = (1.0,), min_crop_overlaps: Floats = (0.0,),
    max_crop_overlaps: Floats = (1.0,), min_crop_sample_coverages: Floats = (0.0,),
    max_crop_sample_coverages: Floats = (1.0,), min_crop_object_coverages: Floats = (0.0,),
    max_crop_object_coverages: Floats = (1.0,), num_crop_sampler: Int = 1,
    crop_emit_mode: Enum("center", "overlap") = "center", emit_overlap_thresh: Float = 0.3,
    max_crop_trials: Shape() = (25,), rand_pad_prob: Float = 0.0, max_pad_scale: Float = 1.0, max_random_hue: Int = 0,
    random_hue_prob: Float = 0.0, max_random_saturation: Int = 0, random_saturation_prob: Float = 0.0,
    max_random_illumination: Int = 0, random_illumination_prob: Float = 0.0, max_random_contrast: Float = 0.0,
    random_contrast_prob: Float = 0.0, rand_mirror_prob: Float = 0.0, fill_value: Int = 127, inter_method: Int = 1,
    resize_mode: Enum("fit", "force", "shrink") = "force", mean_img: Str = "", mean_r: Float = 0.0, mean_g: Float = 0.0,
    mean_b: Float = 0.0, mean_a: Float = 0.0, std_r: Float = 0.0, std_g: Float = 0.0, std_b: Float = 0.0,
    std_a: Float = 0.0, scale: Float = 1.0,
) -> Any:  # fmt: skip
    """Batches of images (N, *data_shape) of float32, red first, with boxes, from record files.

    A label in a batch is: channels, height and width of the image, length of the label, the label, ``label_pad_value``
    up to the length of the longest one (or ``label_pad_width``). The label itself is: length of its head, numbers of an
    object, rest of the head, then for each object its class, left, top, right, bottom as shares, and what else there is.

    In this order an image is: decoded; its shorter edge resized to ``resize``; changed in hue, saturation, lightness
    and contrast, each with a probability; mirrored with ``rand_mirror_prob``; with ``rand_pad_prob`` put on a larger one
    of ``fill_value``; with ``rand_crop_prob`` cut, by one of ``num_crop_sampler`` sets of demands, whose parameters have
    one entry or one for each; resized to ``data_shape``, or with ``resize_mode`` ``'fit'`` or ``'shrink'`` into it, in
    its proportions, with zeros right and below; normalized, where means and deviations of 0 are left out.

    Random choices do not depend on the number of threads; they are the original's with one thread. A record that cannot
    be used raises ``MXNetError`` naming file and record in ``next``.
    """
    params = Params(locals())
    if params.pop("dtype") not in (None, "float32"):
        raise MXNetError(f"ImageDetRecordIter: dtype={dtype!r} is not supported, its data are float32")
    return detection_batches(params)
