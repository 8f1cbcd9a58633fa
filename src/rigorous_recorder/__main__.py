"""`python -m rigorous_recorder` is `rigorous`."""

from rigorous_recorder.cli import main

if __name__ == "__main__":
    main()
