"""``mxcompat convert``: a checkpoint as a PyTorch module, a torch.export, ONNX or safetensors file, or back."""

from __future__ import annotations

import argparse
import json
import sys

from mxcompat.convert import ConversionError
from mxcompat.migrate import CommandError

__all__ = ["configure", "main"]

FORMS = ("module", "pt2", "onnx", "safetensors", "params")

EPILOG = """\
what --to makes:
  module       OUT.py, an nn.Module as a person would write it, that needs torch and safetensors alone and can be trained
               (its loss function is in it), and OUT.safetensors, its weights under the symbol's names
  pt2          OUT.pt2 for torch.export.load, for the given shapes (--dynamic-batch: for any batch size)
  onnx         OUT.onnx by torch.onnx, likewise (needs mxcompat[onnx], the others mxcompat[convert])
  safetensors  OUT.safetensors: the arrays under their names, the symbol's JSON in the metadata
  params       the way back: PREFIX is a .safetensors file; OUT-symbol.json and OUT-EPOCH.params, which MXNet loads

Every result is compared with what mxcompat computes on inputs drawn from --seed: for each output the largest absolute and
relative difference and the cosine. Only what agrees is written.

exit codes: 0 written, 2 the input is wrong or an operator cannot be converted, 3 the numbers are out of tolerance

examples:
  mxcompat convert resnet-50 0 --to module --shape data=1,3,224,224 -o resnet50.py
  mxcompat convert resnet-50 0 --to pt2 --shape data=1,3,224,224 --dynamic-batch -o resnet50.pt2
  mxcompat convert face 0 --to onnx --shape data=1,3,112,112 --output fc1 -o face.onnx
  mxcompat convert lstm 12 --to onnx --shape data=8,35 lstm_init_c=8,200 lstm_init_h=8,200 -o lstm.onnx
  mxcompat convert resnet-50 0 --to safetensors --shape data=1,3,224,224 -o resnet50.safetensors
  mxcompat convert resnet50.safetensors 1 --to params -o tuned        # tuned-symbol.json, tuned-0001.params"""


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.partition("=")
    try:
        shape = tuple(int(size) for size in sizes.strip("()").split(",") if size.strip())
    except ValueError:
        shape = ()
    if not (name and equals and shape) or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=SIZE,SIZE,… such as data=1,3,224,224")
    return name, shape


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``mxcompat convert``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("prefix", metavar="PREFIX", help="of PREFIX-symbol.json and PREFIX-EPOCH.params")
    parser.add_argument("epoch", metavar="EPOCH", type=int, nargs="?", default=0, help="of the parameter file (0)")
    parser.add_argument("--to", required=True, choices=FORMS, help="what to make")
    parser.add_argument(
        "--shape", metavar="NAME=SIZE,…", type=_shape, nargs="+", action="extend", default=[], help="of each input"
    )
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="where to write it")
    parser.add_argument(
        "--output", metavar="NAME", nargs="+", action="extend", default=[],
        help="inner outputs to end at, where the last layers are of the program's own or not wanted",
    )  # fmt: skip
    parser.add_argument("--dynamic-batch", action="store_true", help="leave axis 0 of the inputs open (pt2 and onnx)")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs to compare on (0)")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="times an output's largest value (1e-4)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the report")


def main(args: argparse.Namespace) -> int:
    """Convert, report; 0, or 3 where the numbers are out of tolerance."""
    from mxcompat.convert import checkpoint, exports

    try:
        if args.to == "params":
            result = exports.to_params(args.prefix, args.epoch, args.out)
        else:
            if not args.shape:
                raise CommandError("--shape is missing: give the shape of each input, such as --shape data=1,3,224,224")
            found = checkpoint.load(args.prefix, args.epoch, dict(args.shape), args.output)
            dynamic = {name: [0] for name, _ in args.shape} if args.dynamic_batch else None
            result = exports.convert(found, args.to, args.out, args.seed, args.tolerance, dynamic)
    except exports.OutOfTolerance as error:
        _report(args, error.differences, [], [], str(error))
        return 3
    except (ConversionError, OSError) as error:
        raise CommandError(str(error)) from error
    _report(args, result.differences, result.files, result.notes, "")
    return 0


def _report(args: argparse.Namespace, differences: list, files: list[str], notes: list[str], error: str) -> None:
    if args.format == "json":
        outputs = [difference.as_dict() for difference in differences]
        print(json.dumps({"files": files, "outputs": outputs, "notes": notes, "error": error}))
        return
    if args.to == "params":
        differences = [difference for difference in differences if not difference.agrees]
    for difference in differences:
        print(difference.text())
    for note in notes:
        print(f"note: {note}")
    if error:
        print(f"mxcompat convert: {error}", file=sys.stderr)
    for file in files:
        print(f"wrote {file}")
