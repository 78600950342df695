"""``mxcompat run``: what a script sees and leaves behind is what it would be under plain python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mxcompat.migrate.run import python2_construct

ROOT = Path(__file__).parents[2]


def python(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=cwd, env=env)


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    return python("-m", "mxcompat", "run", *args, cwd=cwd)


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return name


VIEW = """
import os, sys
main = sys.modules['__main__']
print(__name__, __file__, __package__, __spec__ and __spec__.name, __doc__, type(__builtins__).__name__)
print(type(__loader__).__name__, main.__dict__ is globals(), sys.argv, sys.path[0])
"""


@pytest.mark.parametrize(
    "command",
    [
        ["sub/view.py"],
        ["sub/view.py", "--seed", "4", "-m", "x", "--", "-h"],
        ["-m", "sub.view", "--device", "none", "--", "-m"],
        ["-m", "package", "a"],
    ],
)
def test_view_is_that_of_plain_python(tmp_path: Path, command: list[str]) -> None:
    write(tmp_path, "sub/view.py", VIEW)
    write(tmp_path, "package/__init__.py", "print('package')")
    write(tmp_path, "package/__main__.py", VIEW)
    plain, ours = python(*command, cwd=tmp_path), run("--device", "cpu", *command, cwd=tmp_path)
    assert plain.returncode == 0 and (ours.returncode, ours.stdout, ours.stderr) == (0, plain.stdout, plain.stderr)


@pytest.mark.parametrize(
    "text",
    [
        "def fail():\n    return 1 / 0\nfail()\n",
        "import helper\nhelper.fail()\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('text') from error\n",
        "def broken(:\n",
        "import broken\n",
        "raise SystemExit('text')\n",
        "raise SystemExit(7)\n",
        "import sys\nsys.exit()\n",
        "import sys\nsys.excepthook = lambda *error: print('own hook', error[0], error[2].tb_next)\n1 / 0\n",
        "import atexit\natexit.register(print, 'at exit')\nprint('main')\n",
    ],
)
def test_end_is_that_of_plain_python(tmp_path: Path, text: str) -> None:
    write(tmp_path, "helper.py", "def fail():\n    raise KeyError('key')\n")
    write(tmp_path, "broken.py", "x = (\n")
    write(tmp_path, "main.py", text)
    plain, ours = python("main.py", cwd=tmp_path), run("main.py", cwd=tmp_path)
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_interrupt_ends_by_the_signal(tmp_path: Path) -> None:
    restored = "import os, signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's job may ignore it
    write(tmp_path, "main.py", restored + "os.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(9)\n")
    plain, ours = python("main.py", cwd=tmp_path), run("main.py", cwd=tmp_path)
    assert (ours.returncode, ours.stderr) == (plain.returncode, plain.stderr)
    assert ours.returncode == -signal.SIGINT


def test_what_cannot_start(tmp_path: Path) -> None:
    missing = run("nowhere.py", cwd=tmp_path)
    assert missing.returncode == 2 and "can't open file" in missing.stderr and "nowhere.py" in missing.stderr
    missing = run("-m", "nowhere.module", cwd=tmp_path)
    assert missing.returncode == 1 and missing.stderr == "mxcompat run: no module named nowhere.module\n"
    assert run(cwd=tmp_path).returncode == 2
    write(tmp_path, "main.py", "")
    for option in (["--device", "tpu"], ["--seed", "-1"], ["--seed", "x"]):
        refused = run(*option, "main.py", cwd=tmp_path)
        assert refused.returncode == 2 and option[0].lstrip("-") in refused.stderr


def test_alias_and_old_idioms_reach_children(tmp_path: Path) -> None:
    lines = [
        "import collections, multiprocessing, subprocess, sys",
        "import mxnet as mx",
        "import numpy as np",
        "floats = np.float, collections.Mapping",
        "def work(pipe): pipe.send((mx.__name__, np.float.__name__))",
        "if __name__ == '__main__':",
        "    context = multiprocessing.get_context('spawn')",
        "    here, there = context.Pipe()",
        "    process = context.Process(target=work, args=(there,)); process.start()",
        "    print(here.recv()); process.join(); sys.stdout.flush()",
        "    code = 'import mxnet, numpy; print(mxnet.__name__, numpy.float.__name__)'",
        "    subprocess.check_call([sys.executable, '-c', code])",
    ]
    write(tmp_path, "main.py", "\n".join(lines))
    done = run("main.py", cwd=tmp_path)
    assert done.stdout.splitlines() == ["('mxcompat', 'float')", "mxcompat float"], done.stderr


def test_device_and_seed(tmp_path: Path) -> None:
    lines = [
        "import random",
        "import mxnet as mx",
        "import numpy as np",
        "array = mx.nd.array([1, 2], ctx=mx.gpu(3))",
        "drawn = random.random(), np.random.rand(), mx.nd.random.uniform().asscalar()",
        "print((array + 1).asnumpy(), array.context, *drawn)",
    ]
    write(tmp_path, "main.py", "\n".join(lines))
    first, second, other = (run("--device", "cpu", "--seed", seed, "main.py", cwd=tmp_path) for seed in ("1", "1", "2"))
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("[2. 3.] gpu(3) ")
    drawn = [done.stdout.split()[3:] for done in (first, second, other)]
    assert drawn[0] == drawn[1] and not set(drawn[0]) & set(drawn[2])


def test_missing_gpu_names_the_flag(tmp_path: Path) -> None:
    write(tmp_path, "main.py", "import mxnet as mx\nmx.nd.ones((2,), ctx=mx.gpu(99))\n")
    done = run("main.py", cwd=tmp_path)
    assert done.returncode == 1 and "mxcompat run --device cpu" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("line", "construct"),
    [
        ('print "text"', "print statement"),
        ("if x: print x", "print statement"),
        ("print >>sys.stderr, x", "print statement"),
        ("exec code in names", "exec statement"),
        ("except IOError, error:", "'except Error, name'"),
        ("except (IOError, OSError), error:", "'except Error, name'"),
        ('raise ValueError, "text"', "'raise Error, value'"),
        ("if a <> b:", "operator <>"),
        ("x = `1`", "repr() in backticks"),
        ("os.chmod(path, 0755)", "octal number with a leading 0"),
        ("x = 10L", "long integer with an L"),
        ('x = ur"text"', "ur'' string"),
        ("def f(a, (b, c)):", "tuple parameter"),
        ("print(x y)", None),
        ("except (IOError, OSError) error:", None),
        ("x = 0.05 + + * 3", None),
        ("printer x", None),
        ("def f(:", None),
    ],
)
def test_python2_is_named(line: str, construct: str | None) -> None:
    assert python2_construct(line) == construct


def test_python2_script(tmp_path: Path) -> None:
    write(tmp_path, "old.py", "x = 1\nif x:\n    print 'a', x\n")
    write(tmp_path, "main.py", "import old\n")
    write(tmp_path, "tabs.py", "if True:\n        x = 1\n\ty = 2\n")
    for name in ("old.py", "main.py"):
        done = run(name, cwd=tmp_path)
        assert done.returncode == 1 and "SyntaxError" in done.stderr
        assert "old.py:3: this is Python 2 (print statement)" in done.stderr.splitlines()[-1]
    assert "tabs.py:3: this is Python 2 (tabs mixed with spaces)" in run("tabs.py", cwd=tmp_path).stderr
