"""`python -m skipgate_models`."""

from skipgate_models.cli import main

main()
