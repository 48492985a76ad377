"""`python -m hf_dynmask.cli` is `hf-dynmask`."""

from hf_dynmask.cli.main import main

main()
