"""``python -m labelf_cli`` is ``labelf``."""

from labelf_cli.cli.main import main

main()
