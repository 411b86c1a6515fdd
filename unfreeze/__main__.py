"""`python -m unfreeze` starts the command line."""

from unfreeze.cli import main

if __name__ == "__main__":
    main()
