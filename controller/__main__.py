"""`python -m controller` and the `ownernode` command."""


def main() -> None:
    """Run the command line."""
    from controller.cli.main import app

    app()


if __name__ == "__main__":
    main()
