"""The pytest plugin: recordings as tests, golden values of one's own, and ``import mxnet`` giving mxcompat.

``--mxcompat-alias``       import mxnet gives mxcompat, in tests and conftest files
``--mxcompat-golden DIR``  every recording in and below DIR is a test; the fixture ``golden`` finds its files there
``--mxcompat-update``      ``golden.check`` stores what it is given (recordings of MXNet are never touched)

Without these options nothing is imported or changed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Golden"]

PROPERTY = "mxcompat_golden"
MARKER = "mxcompat_tolerance"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mxcompat", "MXNet programs on mxcompat")
    group.addoption("--mxcompat-alias", action="store_true", help="import mxnet gives mxcompat")
    group.addoption(
        "--mxcompat-golden", action="append", default=[], metavar="DIR", help="every recording below DIR is a test"
    )
    group.addoption("--mxcompat-update", action="store_true", help="golden.check stores what it is given")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if early_config.known_args_namespace.mxcompat_alias:
        from mxcompat.migrate import alias

        alias.install()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(rtol=None, atol=0): the errors that recordings and golden values may have"
    )
    if config.getoption("mxcompat_golden"):
        config.pluginmanager.register(GoldenSession(config), "mxcompat-golden")


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.getoption("mxcompat_alias"):
        from mxcompat.migrate import alias

        alias.uninstall()


@pytest.fixture(scope="session")
def mx() -> Any:
    """mxcompat, as programs call it."""
    import mxcompat

    return mxcompat


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Iterator[Golden]:
    """Recordings and golden values in the folders of ``--mxcompat-golden``; see ``Golden``."""
    folders = [Path(folder) for folder in request.config.getoption("mxcompat_golden")]
    if not folders:
        pytest.fail("the fixture golden needs --mxcompat-golden DIR", pytrace=False)
    own = Golden(request.node, folders, request.config.getoption("mxcompat_update"))
    yield own
    own.finish()


def _tolerance(node: pytest.Item) -> Any:
    """What the closest marker says."""
    from mxcompat.regression.compare import Tolerance

    marker = node.get_closest_marker(MARKER)
    return Tolerance(*marker.args, **marker.kwargs) if marker else Tolerance()


def _note(node: pytest.Item, place: str, comparisons: list) -> None:
    """Tell the summary; a property of the test's report, which reaches it from other processes too."""
    worst = max((x for x in comparisons if not (x.problem or x.jumps)), key=lambda x: x.error, default=None)
    at = f"{place}, {worst.step}, {worst.what}" if worst and worst.step else f"{place}, {worst.what}" if worst else ""
    found = {"compared": len(comparisons), "worst": worst.error if worst else 0.0, "at": at}
    node.user_properties.append((PROPERTY, found))


def _verify(node: pytest.Item, name: str, folder: Path) -> None:
    from mxcompat.migrate import CommandError
    from mxcompat.regression.golden import Recording
    from mxcompat.regression.replay import replay

    try:
        report = replay(Recording(folder), _tolerance(node))
    except CommandError as error:
        pytest.fail(str(error), pytrace=False)
    _note(node, name, report.comparisons)
    if report.divergences:
        pytest.fail(report.text(), pytrace=False)


class Golden:
    """What the fixture ``golden`` gives a test.

    ``verify(name)`` repeats a recording, ``check(name, array)`` compares an array with the one that ``--mxcompat-update``
    stored under this name for this test. Both fail the test out of tolerance; the marker ``mxcompat_tolerance`` sets it.
    """

    def __init__(self, node: pytest.Item, folders: list[Path], update: bool):
        self._node, self._folders, self._update = node, folders, update
        self._stored: dict[str, Any] | None = None
        self._new: dict[str, Any] = {}

    def verify(self, name: str) -> None:
        """Repeat the recording in the subfolder ``name``."""
        for folder in self._folders:
            if (folder / name / "meta.json").is_file():
                _verify(self._node, name, folder / name)
                return
        pytest.fail(f"golden.verify: no recording {name} in {', '.join(map(str, self._folders))}", pytrace=False)

    def check(self, name: str, value: Any) -> None:
        """Compare an array (NDArray, NumPy array or number) with the stored one."""
        import numpy as np

        from mxcompat.regression.compare import Comparison, compare

        found = np.asarray(value.asnumpy() if hasattr(value, "asnumpy") else value)
        if self._update:
            self._new[name] = found
            return
        stored = self._load()
        if name not in stored:
            pytest.fail(f"golden.check: {self._path} has no {name}; --mxcompat-update stores it", pytrace=False)
        entry = {"array": name, "shape": list(stored[name].shape), "dtype": stored[name].dtype.name}
        comparison = compare(Comparison("", name, ""), entry, found, _Values(stored), _tolerance(self._node))
        _note(self._node, self._node.name, [comparison])
        if not comparison.agrees:
            pytest.fail(f"golden.check: {comparison.text().lstrip(', ')}", pytrace=False)

    @property
    def _path(self) -> Path:
        name = self._node.nodeid.replace("::", "-").replace("/", "-").replace(".py", "")
        return self._folders[0] / "values" / f"{''.join(x if x.isalnum() or x in '-_' else '_' for x in name)}.npz"

    def _load(self) -> dict[str, Any]:
        import numpy as np

        if self._stored is None:
            self._stored = {}
            if self._path.is_file():
                with np.load(self._path, allow_pickle=False) as archive:
                    self._stored = {name: archive[name] for name in archive.files}
        return self._stored

    def finish(self) -> None:
        """Write what is new; the same values give the same bytes."""
        if not self._new:
            return
        from mxcompat.regression.record import add_entry, npy

        values = {**self._load(), **self._new}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(self._path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(values):
                add_entry(archive, name, npy(values[name]))


class _Values:
    """Stored values in the place of a recording."""

    def __init__(self, values: Mapping[str, Any]):
        self._values = values

    def entry(self, key: str) -> Any:
        return self._values[key]

    def array(self, entry: Mapping[str, Any]) -> Any:
        return self._values[entry["array"]]


class GoldenFolder(pytest.Collector):
    """A folder of ``--mxcompat-golden``."""

    def collect(self) -> list[pytest.Item]:
        from mxcompat.regression.golden import find_recordings

        found: list[pytest.Item] = []
        for folder in find_recordings(self.path):
            name = folder.relative_to(self.path).as_posix()
            item = GoldenItem.from_parent(self, name=self.path.name if name == "." else name)
            item.folder = folder
            found.append(item)
        return found


class GoldenItem(pytest.Item):
    """A recording as a test."""

    folder: Path

    def runtest(self) -> None:
        _verify(self, self.name, self.folder)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.folder, None, f"golden: {self.name}"


class GoldenSession:
    """The hooks of a session with ``--mxcompat-golden``."""

    def __init__(self, config: pytest.Config):
        self.folders = [Path(folder).absolute() for folder in config.getoption("mxcompat_golden")]
        self.compared, self.worst, self.at = 0, 0.0, ""
        for folder in self.folders:
            if not folder.is_dir() and not config.getoption("mxcompat_update"):
                raise pytest.UsageError(f"--mxcompat-golden {folder}: there is no such folder")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        for folder in self.folders:
            collector = GoldenFolder.from_parent(session, name=folder.name, path=folder, nodeid=folder.name)
            items.extend(collector.collect())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, found in report.user_properties:
            if name == PROPERTY and isinstance(found, dict):
                self.compared += found["compared"]
                if found["worst"] >= self.worst:
                    self.worst, self.at = found["worst"], found["at"]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        text = f"golden: {self.compared} compared"
        if self.at:
            text += f", worst {self.worst:.1e} at {self.at}"
        terminalreporter.write_line(text)
