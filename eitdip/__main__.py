"""python -m eitdip."""

from eitdip.cli import main

main()
