"""Measures Homeport beside nginx and other gateways: `python -m bench`, explained in bench/README.md."""
