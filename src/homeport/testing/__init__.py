"""Public fakes for tests: scripted and captured backends, a fault proxy, a manual clock, a GGUF that says a chosen text."""
