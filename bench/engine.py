"""placeholder"""
from pathlib import Path
from bench.figures import Row
from bench.rows import Field
def engine(field: Field, executable: Path, gguf: Path | None) -> Row:
    return Row("engine", "engine")
