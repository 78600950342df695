"""Workloads that read and write files: records one after another and in any order, batches of decoded images, rows of
text, parameters.

The files are made in a temporary folder, with the library's own writer and OpenCV.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

RECORDS, RECORD_BYTES = 20_000, 4_000
IMAGES, IMAGE_SIDE = 512, 256
SMALL_IMAGES, SMALL_SIDE = 8_192, 32
ROWS, COLUMNS = 20_000, 30
ARRAYS, NUMBERS = 32, 1 << 20  # 128 MiB of float32


def clock():
    """The same clock as the other workloads'."""
    return time.process_time() if os.environ.get("BENCHMARK_CLOCK") == "cpu" else time.perf_counter()


def _best(call, rounds=3):
    """The shortest of a few rounds: files are read by a machine that does other things too."""
    found = []
    for _ in range(rounds):
        start = clock()
        call()
        found.append(clock() - start)
    return min(found)


def _records(mx, folder):
    paths = os.path.join(folder, "a.idx"), os.path.join(folder, "a.rec")
    record = mx.recordio.MXIndexedRecordIO(*paths, "w")
    content = np.random.RandomState(0).bytes(RECORD_BYTES)
    for i in range(RECORDS):
        record.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(i), i, 0), content))
    record.close()
    return paths


def sequential(mx):
    """Seconds a record read one after another and unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        reader = mx.recordio.MXRecordIO(_records(mx, folder)[1], "r")

        def read():
            reader.reset()
            while True:
                record = reader.read()
                if record is None:
                    return
                mx.recordio.unpack(record)

        return _best(read) / RECORDS


def shuffled(mx):
    """Seconds a record read by its key, in random order, and unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        reader = mx.recordio.MXIndexedRecordIO(*_records(mx, folder), "r")
        order = np.random.RandomState(1).permutation(RECORDS).tolist()

        def read():
            for key in order:
                mx.recordio.unpack(reader.read_idx(key))

        return _best(read) / RECORDS


def _images(mx, folder, count, side):
    import cv2

    rng = np.random.RandomState(0)
    contents = []
    for _ in range(32):
        coarse = rng.randint(0, 256, (side // 8, side // 8, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        contents.append(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    paths = os.path.join(folder, "a.idx"), os.path.join(folder, "a.rec")
    record = mx.recordio.MXIndexedRecordIO(*paths, "w")
    for i in range(count):
        record.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(i % 10), i, 0), contents[i % 32]))
    record.close()
    return paths


def images(mx, count, side, crop, indexed):
    """Seconds an image of ``ImageRecordIter``: decoded, cropped at random, mirrored at random, mean subtracted."""
    with tempfile.TemporaryDirectory() as folder:
        index, path = _images(mx, folder, count, side)
        options = {"path_imgidx": index, "shuffle": True} if indexed else {}
        iterator = mx.io.ImageRecordIter(
            path_imgrec=path, data_shape=(3, crop, crop), batch_size=64, rand_crop=True, rand_mirror=True, mean_r=123.68,
            mean_g=116.78, mean_b=103.94, preprocess_threads=4, verbose=False, **options,
        )  # fmt: skip

        def read():
            iterator.reset()
            for batch in iterator:
                batch.data[0].wait_to_read()

        return _best(read) / count


def augmented(mx, count=256, crop=224):
    """Seconds an image of ``ImageIter``, which works in Python: the usual augmentations of ImageNet."""
    with tempfile.TemporaryDirectory() as folder:
        index, path = _images(mx, folder, count, IMAGE_SIDE)
        iterator = mx.image.ImageIter(
            32, (3, crop, crop), path_imgrec=path, path_imgidx=index, shuffle=True, rand_crop=True, rand_mirror=True,
            brightness=0.1, contrast=0.1, saturation=0.1, mean=True, std=True,
        )  # fmt: skip

        def read():
            iterator.reset()
            for batch in iterator:
                batch.data[0].wait_to_read()

        return _best(read) / count


def rows(mx):
    """Seconds a row of ``CSVIter``."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.csv")
        np.savetxt(path, np.random.RandomState(0).normal(0, 10, (ROWS, COLUMNS)), fmt="%.6f", delimiter=",")
        iterator = mx.io.CSVIter(data_csv=path, data_shape=(COLUMNS,), batch_size=100)

        def read():
            iterator.reset()
            for batch in iterator:
                batch.data[0].wait_to_read()

        return _best(read) / ROWS


def _parameters(mx):
    values = np.random.RandomState(0).normal(0, 1, NUMBERS).astype("float32")
    return {"arg:weight%d" % i: mx.nd.array(values + i) for i in range(ARRAYS)}  # noqa: UP031  older Pythons too


def saving(mx):
    """Seconds to save 128 MiB of parameters."""
    with tempfile.TemporaryDirectory() as folder:
        path, arrays = os.path.join(folder, "a.params"), _parameters(mx)
        mx.nd.waitall()
        return _best(lambda: mx.nd.save(path, arrays))


def loading(mx):
    """Seconds to load 128 MiB of parameters; nothing else is in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.params")
        # written by a process of its own, whose memory is not counted
        code = "import numpy as np, %s as mx; from tests.benchmarks.reading import _parameters as made; mx.nd.save(%r, made(mx))"
        subprocess.run([sys.executable, "-c", code % (mx.__name__, path)], check=True)

        def read():
            for array in mx.nd.load(path).values():
                array.wait_to_read()

        return _best(read)


READING = {
    "records one after another": sequential,
    "records in random order": shuffled,
    "ImageRecordIter 224x224": lambda mx: images(mx, IMAGES, IMAGE_SIDE, 224, False),
    "ImageRecordIter 224x224, shuffled by an index": lambda mx: images(mx, IMAGES, IMAGE_SIDE, 224, True),
    "ImageRecordIter 28x28": lambda mx: images(mx, SMALL_IMAGES, SMALL_SIDE, 28, False),
    "ImageIter 224x224": augmented,
    "CSVIter, 30 columns": rows,
    "save 128 MiB of parameters": saving,
    "load 128 MiB of parameters": loading,
}
