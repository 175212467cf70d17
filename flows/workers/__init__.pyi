from .chosen_executor import shard_executor as shard_executor
from .protocol import Finished as Finished
from .protocol import ShardExecutor as ShardExecutor
from .protocol import ShardTask as ShardTask
