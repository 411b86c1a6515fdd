"""python -m toolkit"""

from unfreeze.cli import main

if __name__ == "__main__":
    main()
