"""`python -m carousel` and the `carousel` script: runs the command."""

from carousel.cli import app


def main() -> None:
    """Run the command with the arguments of this process."""
    app(prog_name="carousel")


if __name__ == "__main__":
    main()
