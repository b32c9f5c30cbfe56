"""`python -m w2s_probes` is `w2s`."""

from .cli import main

if __name__ == "__main__":
    main()
