"""Source is told in a text that no layout, no docstring and no version of Python changes, and no alteration escapes."""

import ast

import pytest

from tillroll.projection.syntax import definitions, told


def test_the_text_is_the_same_under_every_python() -> None:
    source = 'def f(a: int, *, b=2) -> str:\n    """What."""\n    return f"{a!r}:{b}"\n'
    assert told(ast.parse(source)) == (
        "['Module', ('body', [['FunctionDef', ('name', \"'f'\"), ('args', ['arguments', "
        "('args', [['arg', ('arg', \"'a'\"), ('annotation', ['Name', ('id', \"'int'\"), ('ctx', ['Load'])])]]), "
        "('kwonlyargs', [['arg', ('arg', \"'b'\")]]), ('kw_defaults', [['Constant', ('value', '2')]])]), "
        "('body', [['Return', ('value', ['JoinedStr', ('values', [['FormattedValue', ('value', ['Name', "
        "('id', \"'a'\"), ('ctx', ['Load'])]), ('conversion', '114')], ['Constant', ('value', \"':'\")], "
        "['FormattedValue', ('value', ['Name', ('id', \"'b'\"), ('ctx', ['Load'])]), ('conversion', '-1')]])])]]), "
        "('returns', ['Name', ('id', \"'str'\"), ('ctx', ['Load'])])]])]"
    )


@pytest.mark.parametrize(
    ("source", "name", "statements"),
    [
        ("M = {}\nM['a'] = 1\nN = M", "M", 2),
        ("M = {}\nM.update(a=1)", "M", 2),
        ("A = 1\nA += 1", "A", 2),
        ("if B:\n    A = 1\nelse:\n    A = 2", "A", 1),
        ("for k in 'ab':\n    M[k] = 1", "M", 1),
        ("try:\n    import fast as f\nexcept ImportError:\n    f = None", "f", 1),
        ("with open('x') as file:\n    A = file.read()", "A", 1),
        ("A, (B, *C) = 1, (2, 3)", "C", 1),
        ("def f(): ...\nf = wrapped(f)", "f", 2),
    ],
)
def test_every_statement_that_makes_or_alters_a_name_is_found(
    source: str, name: str, statements: int
) -> None:
    assert len(definitions(ast.parse(source).body)[name]) == statements


def test_what_is_only_read_is_not_altered() -> None:
    assert "B" not in definitions(ast.parse("if B:\n    A = C").body)
    assert "C" not in definitions(ast.parse("if B:\n    A = C").body)
