"""`python -m flows.cli`: the same as `dinoflow`."""

from flows.cli import main

main()
