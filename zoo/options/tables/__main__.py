"""Write the tables of options from the installed libraries: `python -m zoo.options.tables`."""

import json
from pathlib import Path

from zoo.options.tables import FILES
from zoo.options.tables.generate import generate


def main() -> None:
    """Write every table beside this file."""
    for library, name in FILES.items():
        text = json.dumps(generate(library), indent=1, sort_keys=True, ensure_ascii=False)
        (Path(__file__).parent / name).write_text(text + "\n", "utf-8")


main()
