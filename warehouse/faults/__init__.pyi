from .disconnects import is_disconnect as is_disconnect
from .disk_errors import disk_refusal as disk_refusal
from .disk_errors import translate_disk_errors as translate_disk_errors
