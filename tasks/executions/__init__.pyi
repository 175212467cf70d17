from .read import Read as Read
from .read import read_executions as read_executions
from .words import ExecutionFormat as ExecutionFormat
