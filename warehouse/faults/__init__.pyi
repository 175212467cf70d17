from .disk_errors import disk_refusal as disk_refusal
from .disk_errors import translate_damage as translate_damage
from .disk_errors import translate_disk_errors as translate_disk_errors
from .engine_errors import is_busy as is_busy
from .engine_errors import is_disconnect as is_disconnect
from .engine_errors import is_passing as is_passing
from .engine_errors import is_stale as is_stale
