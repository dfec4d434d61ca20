"""``python -m bench.cli``: the ``cellbench`` command by its module, as a guardian starts its child."""

from bench.cli import main

if __name__ == "__main__":
    main()
