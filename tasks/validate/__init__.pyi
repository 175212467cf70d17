from .guards import guard_inputs_task as guard_inputs_task
from .guards import guard_trades_task as guard_trades_task
from .guards import show_if_held as show_if_held
from .validate import validate_shard as validate_shard
from .validate import validate_task as validate_task
