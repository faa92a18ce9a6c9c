"""Run the command line with ``python -m dsmodel``; all it does is in `dsmodel.cli`."""

from dsmodel.cli import main

if __name__ == "__main__":
    main(prog_name="dsmodel")
