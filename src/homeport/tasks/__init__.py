"""Tasks: a typed Python function whose body a model is; the caller gets the type, or an error.

    @task(model="default")
    def classify_intent(text: str) -> Literal["question", "request", "complaint", "other"]:
        \"\"\"Which kind of message is this?\"\"\"

Its rooms: `declared` (the decorator), `prompting` and `plan` (what is asked), `running` (asked, read, checked, asked again), `reading`,
`mending` and `shapes` (an answer → the type), `quote`, `quoting` and `gbnf` (what must stand in the input), `placeholders`, `partial` (the
object so far); `over_http` and `in_process` ask a gateway, `served` finds the tasks that one serves, `shipped` has those that ship.
"""

from homeport.errors import TaskFailed
from homeport.tasks.declared import Task, task
from homeport.tasks.placeholders import Placeholder
from homeport.tasks.plan import Outcome
from homeport.tasks.quote import Quote

__all__ = ["Outcome", "Placeholder", "Quote", "Task", "TaskFailed", "task"]
