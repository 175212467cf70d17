from .read import ExecutionRecords as ExecutionRecords
from .read import read_executions as read_executions
from .words import ExecutionFormat as ExecutionFormat
