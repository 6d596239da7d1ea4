"""The tasks that ship: classify, extract, scatter, draft, ask, complete, embed; all of them work on the bundled model."""

from typing import Any

from homeport.tasks.declared import Task
from homeport.tasks.shipped.direct import complete, embed
from homeport.tasks.shipped.drafting import draft
from homeport.tasks.shipped.reading import ask, classify, extract
from homeport.tasks.shipped.scattering import scatter

TASKS: dict[str, Task[Any, Any]] = {task.name: task for task in (classify, extract, scatter, draft, ask, complete, embed)}

__all__ = ["TASKS", "ask", "classify", "complete", "draft", "embed", "extract", "scatter"]
