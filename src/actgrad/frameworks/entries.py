"""How stand-alone files are called, in every framework: parts of the templates of a dialect.

Each framework's `binding.py` has `as_tensors`, and its templates make `_rule`, a function of tensors.
"""

from __future__ import annotations

from actgrad.codegen.dialect import as_template, printed


def joined(*parts: str) -> str:
    """One after the other, two lines apart."""
    return "\n\n\n".join(part.strip() for part in parts)


ENTRY = '''
def {name}({signature}):
    """{doc}"""
    return _of({arguments})


def _of(arguments):
    return _rule(*as_tensors(arguments, {size}))
'''

ROW_VIEWS = joined(
    as_template(printed(__package__, "views.py")),
    '''
def row_length(lengths):
    """How long the rows are, where that fits; one number is as good as a row of equal ones."""
    n, *others = [n for n in lengths if n != 1] or [1]
    fits = {any_length} if n is None else {fits}
    if any(other != n for other in others) or not fits:
        raise ValueError(f"this function takes no rows of length {{', '.join(map(str, lengths))}}")
    return n
''',
)


def row_entry(ops: str, scalar: str = "") -> str:
    """`ops` is what `along_axis` asks for its views; `scalar` makes one of an array without dimensions."""
    return f'''
def {{name}}({{signature}}, axis={{axis}}):
    """{{doc}}"""
    return _of_rows({{arguments}}, axis)


def _of_rows(arguments, axis):
    tensors = as_tensors(arguments, {{size}})
    numbers = [{ops}.reshape(t, ()) for t in tensors[{{size}}:]]

    def rule(*rows):
        return _rule(*rows, *numbers)

    return along_axis(tensors[:{{size}}], axis, {{squeezes}}, {ops}, row_length, rule){scalar}
'''


TABLES = '''
def {name}({signature}):
    """{doc}"""
    return _of_tables({arguments}, {flat}, {lookups})


def _of_tables(arguments, flat, lookups):
    quiet = [still(t) for t in as_tensors(flat, {size})]
    return {inner}(*arguments, *_read(lookups, quiet))


def _read(lookups, quiet):
    return [lookup(table, _place(each, quiet), nan) for table, nan, *each in lookups]


def _place(each, quiet):
    index, lookups = each
    return index(*quiet, *_read(lookups, quiet))
'''
"""Of a program that reads tables; `gather.py` has `lookup`, and `still`, which loses a derivative."""
