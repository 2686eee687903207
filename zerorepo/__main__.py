"""``python -m zerorepo``."""

from zerorepo.cli.main import main

main()
