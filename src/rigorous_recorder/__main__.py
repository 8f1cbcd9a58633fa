"""`python -m rigorous_recorder` is `rigorous`."""

from rigorous_recorder.cli import run

if __name__ == "__main__":
    run()
