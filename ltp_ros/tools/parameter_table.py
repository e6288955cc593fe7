# Copyright 2026 The ltp_ros Authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m ltp_ros.tools.parameter_table`: generate docs/parameters.md from the config."""
from ltp_ros.settings import fields

HEAD = """# Parameters of `/ltp/classifier`

Generated from `ltp_ros/config.py` by `python -m ltp_ros.tools.parameter_table`. *Live*: may change
while the node runs, and takes effect on the next frame. An invalid value is rejected with an
explanation; an unknown name stops the start.

| parameter | default | live | allowed | meaning |
|---|---|---|---|---|
"""


def parameter_table() -> str:
    """Return docs/parameters.md."""
    rows = []
    for _, field in fields():
        meta = field.metadata
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        unit = f' [{meta["unit"]}]' if meta['unit'] else ''
        rows.append(f'| `{field.name}` | `{default!r}` | {"yes" if meta["live"] else ""} '
                    f'| {meta["allowed"]} | {meta["description"]}{unit} |\n')
    return HEAD + ''.join(rows)


if __name__ == '__main__':
    print(parameter_table(), end='')
