"""What decides a projection's rows is noticed when it changes, and what does not decide them is not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tillroll.errors import DeclarationError
from tillroll.events import StockReceived
from tillroll.projection import Projection
from tillroll.projection.code import Code, changes, code_of, recorded
from tillroll.projection.registry import find_projections, load_projections
from tillroll.testing import event, given

Declare = Callable[..., type[Projection]]

SOURCE = '''
"""A module."""

from collections.abc import Mapping
from typing import ClassVar

import polars as pl

import beside_it
from tillroll.events import StockAdjusted, StockReceived
from tillroll.projection import Derived, Frame, Key, Projection, Sum, derived, on

UNITS = pl.col("quantity")
FACTOR = 2
UNUSED = 1


class Units(Projection):
    """Units by sku."""

    sku: Key[str]
    units: Sum[int]
    twice: Derived[int] = derived("units * 2")
    views: ClassVar[Mapping[str, str]] = {"units_view": "select * from {units}"}

    @on(StockReceived)
    def received(self, events: Frame) -> Frame:
        """All of them."""
        return _counted(events)


def _counted(events: Frame) -> Frame:
    return events.select("sku", units=UNITS * FACTOR * beside_it.ONE)
'''


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Writes SOURCE with changes into a file and loads it."""
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "beside_it.py").write_text("ONE = 1\n", encoding="utf-8")
    number = 0

    def declared(*replaced: tuple[str, str], beside: str = "ONE = 1\n") -> type[Projection]:
        nonlocal number
        number += 1
        (tmp_path / "lib" / "beside_it.py").write_text(beside, encoding="utf-8")
        source = SOURCE
        for old, new in replaced:
            assert old in source
            source = source.replace(old, new)
        folder = tmp_path / f"own{number}"
        folder.mkdir()
        (folder / "units.py").write_text(source, encoding="utf-8")
        (found,) = find_projections(["units"], [folder])
        return found

    yield declared
    sys.modules.pop("beside_it", None)


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        ([("units: Sum[int]\n", "units: Sum[int]\n    more: Sum[int]\n")], "column units.more added"),
        ([("units: Sum[int]", "units: Max[int]"), ("Sum, d", "Max, d")], "column units.units changed"),
        ([("sku: Key[str]", "sku: Key[str]\n    at: Key[str]")], "key of table units changed"),
        (
            [("return _counted(events)", "return _counted(events.filter(UNITS > 0))")],
            "handler received changed",
        ),
        (
            [("@on(StockReceived)", "@on(StockReceived, StockAdjusted)")],
            "handler received changed; schema StockAdjusted added",
        ),
        ([("FACTOR = 2", "FACTOR = 3")], "constant FACTOR changed"),
        ([("FACTOR = 2", "FACTOR = 2\nFACTOR += 1")], "constant FACTOR changed"),
        ([("UNITS * FACTOR", "UNITS + FACTOR")], "function _counted changed"),
    ],
)
def test_what_decides_rows_is_named(declare: Declare, replaced: list[tuple[str, str]], told: str) -> None:
    old, new = code_of(declare()), code_of(declare(*replaced))
    assert "; ".join(changes(old.rows, new.rows)) == told
    assert not old.same_rows(new)


REGISTERED = """FACTORS = {}


def factor(function):
    FACTORS[function.__name__] = function
    return function


def put(name, value):
    _put(name, value)


def _put(name, value):
    FACTORS[name] = lambda: value


@factor
def two():
    return 2


_ = put("three", 3)
FACTOR = 2
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return 2\n", "    return 4\n"),
        ('put("three", 3)', 'put("three", 5)'),
    ],
)
def test_what_a_called_function_or_a_decorator_fills_decides_too(
    declare: Declare, old: str, new: str
) -> None:
    used = [("UNITS * FACTOR", 'UNITS * FACTORS["two"]()'), ("FACTOR = 2\n", REGISTERED)]
    before = code_of(declare(*used))
    after = code_of(declare(used[0], (used[1][0], REGISTERED.replace(old, new))))
    assert REGISTERED.count(old) == 1
    assert "constant FACTORS changed" in changes(before.rows, after.rows)


def test_a_module_may_say_where_it_lies_and_what_lies_beside_it_is_not_recorded(declare: Declare) -> None:
    told = declare(("UNUSED = 1", "HERE = __file__"), beside="HERE = __file__\nONE = 1\n")
    assert recorded("units", 2, code_of(told)).name == "units"
    place = "from pathlib import Path\n\nUNUSED = Path(__file__).read_text(encoding='utf-8')"
    reading = code_of(declare(("UNUSED = 1", place)))
    with pytest.raises(DeclarationError, match=r"version 3 of units cannot be .*No such file.*recorded"):
        recorded("units", 3, reading)


REGISTRIES = """class Rules(dict):
    def rule(self, function):
        self[function.__name__] = function
        return function

    def put(self, name, value):
        self[name] = lambda: value


RULES = Rules()


@RULES.rule
def two():
    return 2


_ = RULES.put("three", 3)


@functools.singledispatch
def convert(value):
    return value


@convert.register
def _(value: int):
    return value + 1


def remember(name):
    NAMES.append(name)


NAMES = []
list(map(remember, ("a", "b")))
FACTOR = 2
"""


@pytest.mark.parametrize(
    ("used", "old", "new"),
    [
        ("RULES", "    return 2\n", "    return 4\n"),
        ("RULES", 'put("three", 3)', 'put("three", 5)'),
        ("convert", "value + 1", "value + 2"),
        ("NAMES", '("a", "b")', '("a", "c")'),
    ],
)
def test_registries_of_whatever_kind_decide_by_what_is_put_into_them(
    declare: Declare, used: str, old: str, new: str
) -> None:
    handler, head = (
        ("UNITS * FACTOR", f"UNITS * len([{used}])"),
        ("import polars as pl\n", "import functools\nimport polars as pl\n"),
    )
    before = code_of(declare(handler, head, ("FACTOR = 2\n", REGISTRIES)))
    assert REGISTRIES.count(old) == 1
    after = code_of(declare(handler, head, ("FACTOR = 2\n", REGISTRIES.replace(old, new))))
    assert not before.same_rows(after)


@pytest.mark.parametrize(
    "replaced",
    [
        ("UNUSED = 1", "UNUSED = 2"),
        ('"""All of them."""', '"""Every one of them."""'),
        ("return _counted(events)", "return  _counted(events)  # all"),
        ("\n\nUNITS =", "\n\n\n\nUNITS ="),
    ],
)
def test_what_decides_nothing_is_no_change(declare: Declare, replaced: tuple[str, str]) -> None:
    old, new = code_of(declare()), code_of(declare(replaced))
    assert old.same_rows(new)
    assert old.same_views(new)


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        (("units * 2", "units * 3"), "derived column units.twice changed"),
        (("select * from", "select sku from"), "view units_view changed"),
        (("units_view", "other_view"), "view other_view added; view units_view removed"),
    ],
)
def test_what_only_readers_see_is_told_apart(declare: Declare, replaced: tuple[str, str], told: str) -> None:
    old, new = code_of(declare()), code_of(declare(replaced))
    assert old.same_rows(new)
    assert "; ".join(changes(old.views, new.views)) == told


def test_a_module_of_the_authors_decides_too(declare: Declare) -> None:
    old = code_of(declare())
    sys.modules.pop("beside_it")
    new = code_of(declare(beside="ONE = 2\n"))
    assert changes(old.rows, new.rows) == ["module beside_it changed"]


def test_a_version_is_loaded_from_what_was_recorded(declare: Declare) -> None:
    old = declare()
    code = Code.of_json(code_of(old).as_json())
    declare(("FACTOR = 2", "FACTOR = 3"))
    found = recorded("units", 4, code)
    assert (found.name, found.version, found.schema()) == ("units", 4, "units_v4")
    assert found.tables == old.tables
    assert code_of(found).same_rows(code)
    assert found is not old


def test_the_code_of_a_class_is_what_it_was_loaded_from_whatever_its_file_says_by_then(
    declare: Declare, tmp_path: Path
) -> None:
    units = declare()
    file = tmp_path / "own1" / "units.py"
    file.write_text(SOURCE.replace("FACTOR = 2", "FACTOR = 3"), encoding="utf-8")
    assert code_of(units).source == SOURCE
    assert changes(code_of(units).rows, code_of(declare()).rows) == []


def test_a_version_keeps_the_other_modules_of_its_time(declare: Declare) -> None:
    old = declare()
    code = Code.of_json(code_of(old).as_json())
    sys.modules.pop("beside_it")
    at_hand = declare(beside="ONE = 2\n")
    found = recorded("units", 1, code)
    received = event(StockReceived, sku="shoe", location_id="s", quantity=3)
    given(received).when(found).then([{"sku": "shoe", "units": 6}])
    given(received).when(at_hand).then([{"sku": "shoe", "units": 12}])
    assert vars(sys.modules["beside_it"])["ONE"] == 2


def test_packages_and_what_they_import_are_kept_too(tmp_path: Path, declare: Declare) -> None:
    package = tmp_path / "lib" / "kit"
    package.mkdir()
    for name, text in (("__init__", ""), ("one", "from kit.two import TWO"), ("two", "TWO = 2")):
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    code = code_of(declare(("import beside_it", "import kit.one"), ("beside_it.ONE", "kit.one.TWO")))
    assert {"module kit", "module kit.one", "module kit.two"} <= code.rows.keys()
    (package / "two.py").write_text("TWO = 5", encoding="utf-8")
    for name in ("kit", "kit.one", "kit.two"):
        del sys.modules[name]
    received = event(StockReceived, sku="shoe", location_id="s", quantity=3)
    given(received).when(recorded("units", 1, code)).then([{"sku": "shoe", "units": 12}])


def test_a_version_goes_on_when_a_schema_changes(declare: Declare) -> None:
    code = code_of(declare())
    then = {**code.rows, "schema StockReceived": "another"}
    found = recorded("units", 1, Code(then, code.views, code.source, code.beside))
    assert changes(then, code_of(found).rows) == ["schema StockReceived changed"]


def test_a_version_that_gives_something_else_than_was_recorded_is_not_loaded(declare: Declare) -> None:
    code = code_of(declare())
    then = {**code.rows, "column units.units": "another"}
    with pytest.raises(
        DeclarationError, match=r"version 1 of units .* recorded: column units\.units changed"
    ):
        recorded("units", 1, Code(then, code.views, code.source, code.beside))


def test_a_version_that_does_not_run_any_more_says_why() -> None:
    with pytest.raises(
        DeclarationError, match=r"version 2 of units cannot be .*: ModuleNotFoundError: .*gone"
    ):
        recorded("units", 2, Code({}, {}, "import gone_for_good"))


@pytest.mark.parametrize("projection", load_projections().values(), ids=lambda p: str(p.name))
def test_every_projection_is_itself_after_recording(projection: type[Projection]) -> None:
    code = code_of(projection)
    again = code_of(recorded(projection.name, 9, code))
    assert changes(code.rows, again.rows) == []
    assert code.same_views(again)


def test_numbered_is_the_same_declaration_under_another_number(declare: Declare) -> None:
    one = declare()
    two = one.numbered(2, {"sku": "a"})
    assert (two.version, two.schema(), two.only) == (2, "units_v2", {"sku": "a"})
    assert (two.tables, two.handlers, two.name) == (one.tables, one.handlers, one.name)
    assert (one.version, one.only) == (1, {})
    assert code_of(two).same_rows(code_of(one))
