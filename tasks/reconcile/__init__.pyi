from .allocations import allocation_statement as allocation_statement
from .allocations import as_fix as as_fix
from .execution_files import reconcile_one as reconcile_one
from .reconcile import ReconcileResult as ReconcileResult
from .reconcile import lot_differences as lot_differences
from .reconcile import open_breaks as open_breaks
from .reconcile import rules as rules
from .steps import reconcile_task as reconcile_task
